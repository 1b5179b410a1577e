package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
)

// played answers in the place of gcloud when a deployment is only printed: every service is there, a revision called
// PREVIOUS has its traffic, and what is deployed is called NEW.
type played struct {
	services map[string][]target // by service: its tags
	missing  bool                // no service is there before it is deployed
}

func newPlayed() *played { return &played{services: map[string][]target{}} }

func (p *played) answer(args []string) ([]byte, error) {
	option := func(name string) string {
		if i := slices.Index(args, name); i >= 0 {
			return args[i+1]
		}
		return ""
	}
	if args[1] == "revisions" {
		return []byte(`{"metadata":{"labels":{"` + unitLabel + `":"PREVIOUS"}}}`), nil
	}
	name := args[2]
	if args[1] == "services" {
		name = args[3]
	}
	host := strings.ToLower(fmt.Sprintf("%s-number.%s.run.app", name, option("--region")))
	tag := func(tag, revision string) {
		p.services[name] = append(p.services[name], target{Revision: revision, Tag: tag, URL: "https://" + tag + "---" + host})
	}
	if t := option("--tag"); t != "" {
		tag(t, name+"-NEW")
	}
	if t, revision, ok := strings.Cut(option("--update-tags"), "="); ok {
		tag(t, revision)
	}
	if p.missing && p.services[name] == nil {
		return nil, fault.New(fault.NotFound, nil, "there is no service %s yet", name)
	}
	var svc service
	svc.Metadata.Name, svc.Status.URL = name, "https://"+host
	svc.Status.Traffic = append([]target{{Revision: name + "-PREVIOUS", Percent: 100}}, p.services[name]...)
	return json.Marshal(svc)
}
