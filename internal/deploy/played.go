package deploy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// played answers in the place of gcloud when a deployment is only printed: every service is there, a revision called
// PREVIOUS has its traffic, and what is deployed is called NEW.
type played struct{ tags map[string]target }

func newPlayed() *played { return &played{map[string]target{}} }

func (p *played) answer(args []string) []byte {
	option := func(name string) string {
		for i, a := range args[:len(args)-1] {
			if a == name {
				return args[i+1]
			}
		}
		return ""
	}
	if len(args) > 3 && args[1] == "revisions" {
		return []byte(`{"metadata":{"labels":{"` + unitLabel + `":"PREVIOUS"}}}`)
	}
	name := args[2]
	if args[1] == "services" {
		name = args[3]
	}
	host := fmt.Sprintf("%s-PROJECT-NUMBER.%s.run.app", name, option("--region"))
	tag := func(tag, revision string) {
		p.tags[tag] = target{Revision: revision, Tag: tag, URL: "https://" + tag + "---" + host}
	}
	if t := option("--tag"); t != "" {
		tag(t, name+"-NEW")
	}
	if t, revision, ok := strings.Cut(option("--update-tags"), "="); ok {
		tag(t, revision)
	}
	var svc service
	svc.Metadata.Name, svc.Status.URL = name, "https://"+host
	svc.Status.Traffic = []target{{Revision: name + "-PREVIOUS", Percent: 100}}
	for _, t := range p.tags {
		svc.Status.Traffic = append(svc.Status.Traffic, t)
	}
	data, err := json.Marshal(svc)
	if err != nil {
		return nil
	}
	return data
}
