package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/millrace-ml/millrace/shared/ledger"
)

// checkDatabase reads the database that holds the record of runs.
func checkDatabase(ctx context.Context, p *probe) []Finding {
	var d struct{ Type, LocationID, DeleteProtectionState, PointInTimeRecoveryEnablement string }
	name := p.database()
	if err := p.api.call(ctx, database, p.at("database", name), nil, nil, &d); status(err) == http.StatusNotFound {
		return []Finding{fail(p.apply(), "there is no database %s", name)}
	} else if err != nil {
		return p.unread(err, "the database "+name)
	}
	quoted := "'" + name + "'" // the parentheses of (default) are the shell's
	var problems []Finding
	if d.Type != "FIRESTORE_NATIVE" {
		problems = append(problems, fail(p.apply("# a database that is used otherwise keeps its mode; choose another one with the variable firestore_database, then"), "%s is in %s mode, expected native", name, strings.ToLower(strings.ReplaceAll(d.Type, "_", " "))))
	}
	if d.LocationID != p.region && !multiRegion(d.LocationID, p.region) {
		problems = append(problems, warn(p.apply("# a database cannot move; choose another one with the variable firestore_database, then"), "%s is in %s, not in %s: each step of a run waits for another region", name, d.LocationID, p.region))
	}
	if d.DeleteProtectionState != "DELETE_PROTECTION_ENABLED" {
		problems = append(problems, warn(do("gcloud firestore databases update --database="+quoted+" --delete-protection --project="+p.project), "%s can be deleted by one command", name))
	}
	if d.PointInTimeRecoveryEnablement != "POINT_IN_TIME_RECOVERY_ENABLED" {
		problems = append(problems, warn(do("gcloud firestore databases update --database="+quoted+" --enable-pitr --project="+p.project), "%s cannot be read as it was an hour ago", name))
	}
	return orGood(problems, "%s in %s", name, d.LocationID)
}

// multiRegion says whether a location of Firestore spans the region's continent.
func multiRegion(location, region string) bool {
	return strings.HasPrefix(location, "nam") && strings.HasPrefix(region, "us-") || location == "eur3" && strings.HasPrefix(region, "europe-")
}

// index is a composite index, in the form of indexes.json and of the API alike.
type index struct {
	CollectionGroup, QueryScope, State string
	Fields                             []struct{ FieldPath, Order string }
}

// key is what two equal indexes have in common. Firestore adds the document's name to each by itself.
func (i index) key() string {
	var b strings.Builder
	for _, f := range i.Fields {
		if f.FieldPath != "__name__" {
			fmt.Fprintf(&b, "%s %s, ", f.FieldPath, strings.ToLower(f.Order))
		}
	}
	return strings.TrimSuffix(b.String(), ", ")
}

func (i index) command(p *probe) string {
	var b strings.Builder
	fmt.Fprintf(&b, "gcloud firestore indexes composite create --project=%s --database='%s' --collection-group=%s --query-scope=collection", p.project, p.database(), i.CollectionGroup)
	for _, f := range i.Fields {
		fmt.Fprintf(&b, " --field-config=field-path=%s,order=%s", f.FieldPath, strings.ToLower(f.Order))
	}
	return b.String()
}

// checkIndexes compares the composite indexes with those that the ledger's queries need.
func checkIndexes(ctx context.Context, p *probe) []Finding {
	var want struct{ Indexes []index }
	if err := json.Unmarshal(ledger.Indexes(), &want); err != nil {
		return []Finding{fail(nil, "shared/ledger/indexes.json: %v", err)}
	}
	states := map[string]string{}
	err := p.api.pages(ctx, indexes, p.at("database", p.database(), "collection", ledger.Collection), nil, func(raw json.RawMessage) (string, error) {
		var page struct {
			Indexes       []index
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, i := range page.Indexes {
			states[i.key()] = i.State
		}
		return page.NextPageToken, err
	})
	if err != nil {
		return p.unread(err, "the indexes of "+p.database())
	}
	var problems []Finding
	for _, w := range want.Indexes {
		switch states[w.key()] {
		case "READY":
		case "CREATING":
			problems = append(problems, warn(do("gcloud firestore indexes composite list --project="+p.project+" --database='"+p.database()+"'"), "the index (%s) is being built; its queries fail until then", w.key()))
		case "NEEDS_REPAIR":
			problems = append(problems, fail(p.apply("gcloud firestore indexes composite list --project="+p.project+" --database='"+p.database()+"'", "# delete the one in need of repair, then"), "the index (%s) needs repair", w.key()))
		default:
			problems = append(problems, fail(do(w.command(p)), "the index (%s) is missing: listing runs fails", w.key()))
		}
	}
	return orGood(problems, "%d are ready", len(want.Indexes))
}

// checkRegistry reads the two image repositories. Source deploys move a tag, which immutable tags forbid; the step image is
// used by digest alone.
func checkRegistry(ctx context.Context, p *probe) []Finding {
	type repository struct {
		Name, Format string
		DockerConfig struct{ ImmutableTags bool }
	}
	found := map[string]repository{}
	err := p.api.pages(ctx, repositories, p.at(), nil, func(raw json.RawMessage) (string, error) {
		var page struct {
			Repositories  []repository
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, r := range page.Repositories {
			found[r.Name[strings.LastIndex(r.Name, "/")+1:]] = r
		}
		return page.NextPageToken, err
	})
	if err != nil {
		return p.unread(err, "the repositories of Artifact Registry")
	}
	var problems []Finding
	for _, name := range []string{functions, images} {
		r, ok := found[name]
		switch {
		case !ok:
			problems = append(problems, fail(p.apply(), "there is no repository %s in %s", name, p.region))
		case r.Format != "DOCKER":
			problems = append(problems, fail(do("gcloud artifacts repositories describe "+name+" --location="+p.region+" --project="+p.project), "the repository %s holds %s, expected Docker images", name, r.Format))
		case name == functions && r.DockerConfig.ImmutableTags:
			problems = append(problems, fail(do("gcloud artifacts repositories update "+name+" --no-immutable-tags --location="+p.region+" --project="+p.project), "the repository %s has immutable tags: the second deployment of a function fails", name))
		case name == images && !r.DockerConfig.ImmutableTags:
			problems = append(problems, warn(do("gcloud artifacts repositories update "+name+" --immutable-tags --location="+p.region+" --project="+p.project), "the repository %s lets tags move", name))
		}
	}
	return orGood(problems, "%s and %s in %s", functions, images, p.region)
}
