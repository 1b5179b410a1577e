package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/internal/bundle"
)

// run carries out a command of the few that deployments use, with the flags that gcloud has; anything else is refused.
func (c *cloudRun) run(args []string) (any, error) {
	words, flags, err := parseFlags(args)
	if err != nil {
		return nil, err
	}
	if flags["region"] != "europe-west1" || flags["project"] != "shop" || flags["format"] != "json" {
		return nil, fmt.Errorf("(gcloud) region %q, project %q, format %q", flags["region"], flags["project"], flags["format"])
	}
	name := words[len(words)-1]
	svc := c.services[name]
	switch command := strings.Join(words[:len(words)-1], " "); {
	case command == "run deploy":
		return c.deploy(name, flags)
	case command == "run revisions describe":
		for _, s := range c.services {
			if r := s.revision(name); r != nil {
				return map[string]any{"metadata": map[string]any{"name": r.name, "labels": r.labels}}, nil
			}
		}
		return nil, fmt.Errorf("(gcloud.run.revisions.describe) Cannot find revision [%s]", name)
	case svc == nil:
		return nil, fmt.Errorf("(gcloud.%s) Cannot find service [%s]", strings.ReplaceAll(command, " ", "."), name)
	case command == "run services describe":
		return c.described(svc), nil
	case command == "run services update-traffic":
		return c.described(svc), svc.update(flags)
	}
	return nil, fmt.Errorf("(gcloud) Invalid choice: %q", words)
}

var gcloudFlags = map[string]bool{ // with a value or not
	"region": true, "project": true, "quiet": false, "format": true, "to-revisions": true, "update-tags": true, "remove-tags": true,
	"source": true, "function": true, "base-image": true, "automatic-updates": false, "image": true, "build-service-account": true, "clear-build-service-account": false,
	"clear-build-worker-pool": false, "build-env-vars-file": true, "service-account": true, "no-allow-unauthenticated": false, "labels": true, "no-traffic": false, "tag": true,
}

func parseFlags(args []string) (words []string, flags map[string]string, err error) {
	flags = map[string]string{}
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		valued, known := gcloudFlags[name]
		switch {
		case !isFlag:
			words = append(words, args[i])
		case !known:
			return nil, nil, fmt.Errorf("(gcloud) unrecognized arguments: %s", args[i])
		case !valued:
			flags[name] = "true"
		case i+1 == len(args):
			return nil, nil, fmt.Errorf("(gcloud) argument %s: expected one argument", args[i])
		default:
			i++
			flags[name] = args[i]
		}
	}
	return words, flags, nil
}

func (c *cloudRun) described(s *runService) any {
	var out service
	out.Metadata.Name, out.Metadata.Labels, out.Status.URL = s.name, s.labels, c.url+"/run/"+s.name
	for _, t := range s.traffic {
		t.Revision = s.revision(t.Revision).name
		if t.Tag != "" {
			t.URL = c.url + "/tag/" + t.Tag + "/" + s.name
		}
		out.Status.Traffic = append(out.Status.Traffic, t)
	}
	return out
}

func (s *runService) pin() { // what --no-traffic and any split do to the latest revision's share
	for i := range s.traffic {
		s.traffic[i].Revision = s.revision(s.traffic[i].Revision).name
	}
}

func (s *runService) tagAs(tag, revision string) {
	s.traffic = slices.DeleteFunc(s.traffic, func(t target) bool { return t.Tag == tag })
	if revision != "" {
		s.traffic = append(s.traffic, target{Revision: revision, Tag: tag})
	}
}

func (s *runService) update(flags map[string]string) error {
	if tag, revision, ok := strings.Cut(flags["update-tags"], "="); ok {
		s.tagAs(tag, revision)
	}
	if flags["remove-tags"] != "" {
		for tag := range strings.SplitSeq(flags["remove-tags"], ",") {
			s.tagAs(tag, "")
		}
	}
	if flags["to-revisions"] == "" {
		return nil
	}
	s.traffic = slices.DeleteFunc(s.traffic, func(t target) bool { return t.Percent > 0 })
	for part := range strings.SplitSeq(flags["to-revisions"], ",") {
		revision, percent, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(percent)
		if err != nil || s.revision(revision) == nil {
			return fmt.Errorf("(gcloud.run.services.update-traffic) no revision %q with %q", revision, percent)
		}
		s.traffic = append(s.traffic, target{Revision: revision, Percent: n})
	}
	return nil
}

func (c *cloudRun) deploy(name string, flags map[string]string) (any, error) {
	svc := c.services[name]
	if svc == nil && flags["no-traffic"] != "" {
		return nil, fmt.Errorf("(gcloud.run.deploy) --no-traffic not supported when creating a new service.")
	}
	unit, err := os.ReadFile(filepath.Join(flags["source"], bundle.UnitFile))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(flags["build-env-vars-file"]); err != nil {
		return nil, err
	}
	if svc == nil {
		svc = &runService{name: name, labels: map[string]string{}, settings: map[string]string{}, traffic: []target{{Percent: 100}}}
		c.services[name] = svc
	} else if flags["no-traffic"] != "" {
		svc.pin()
	}
	for _, key := range []string{"base-image", "automatic-updates", "image", "build-service-account", "build-env-vars-file", "service-account", "function"} {
		if v := flags[key]; v != "" {
			svc.settings[key] = v
		}
	}
	for key := range flags {
		if cleared, ok := strings.CutPrefix(key, "clear-"); ok {
			delete(svc.settings, cleared)
		}
	}
	labels := map[string]string{}
	for part := range strings.SplitSeq(flags["labels"], ",") {
		k, v, _ := strings.Cut(part, "=")
		labels[k], svc.labels[k] = v, v
	}
	r := &runRevision{name: fmt.Sprintf("%s-%05d", name, len(svc.revisions)+1), labels: labels,
		Handler: c.open(flags["function"], string(unit), filepath.Join(flags["source"], bundle.ModelFolder))}
	if c.ail != nil {
		c.ail(r)
	}
	svc.revisions = append(svc.revisions, r)
	if flags["tag"] != "" {
		svc.tagAs(flags["tag"], r.name)
	}
	return c.described(svc), nil
}
