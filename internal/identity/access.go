package identity

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"github.com/millrace-ml/millrace/shared/fault"
)

// AccessVariable holds an access token that was made elsewhere; Terraform's provider reads it too.
const AccessVariable = "GOOGLE_OAUTH_ACCESS_TOKEN"

// Credential is what Google's APIs let a caller in with.
type Credential struct {
	Token   string // never print it
	Source  string // where it came from, for people
	Account string // the caller's address, "" when the source does not say
	Project string // that the credentials name, "" when they name none
	Quota   bool   // whether requests must name the project whose quota they use, as those of a person's own program do
	Default bool   // whether Terraform and Google's clients find the same credentials
}

// Access finds an access token where Terraform and Google's clients find theirs: GOOGLE_OAUTH_ACCESS_TOKEN, the file of
// GOOGLE_APPLICATION_CREDENTIALS, the file that `gcloud auth application-default login` wrote, the metadata server; and after
// these asks gcloud, which a person may be signed in to alone.
func Access(ctx context.Context, getenv func(string) string) (*Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if given := strings.TrimSpace(getenv(AccessVariable)); given != "" {
		token, err := check(given, AccessVariable)
		return &Credential{Token: token, Source: AccessVariable, Default: true}, err
	}
	for _, source := range []func(context.Context, func(string) string) (*Credential, error){accessFile, accessMetadata, accessGcloud} {
		c, err := source(ctx, getenv)
		if !errors.Is(err, errNone) {
			return c, err
		}
	}
	return nil, fault.New(fault.Unauthenticated, nil, "no credentials for Google Cloud: install gcloud (https://cloud.google.com/sdk/docs/install) and run: gcloud auth login && gcloud auth application-default login")
}

// accessFile reads the file that the environment names, else the one that gcloud left for programs.
func accessFile(ctx context.Context, getenv func(string) string) (*Credential, error) {
	path, source := getenv(fileVariable), fileVariable
	if path == "" {
		path, source = wellKnownPath(getenv), "application default credentials"
		if _, err := os.Stat(path); path == "" || err != nil {
			return nil, errNone
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Unauthenticated, err, "%s: %s cannot be read", source, path)
	}
	var file struct {
		Type        credentials.CredType
		Email       string `json:"client_email"`
		ProjectID   string `json:"project_id"`
		Impersonate string `json:"service_account_impersonation_url"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, fault.New(fault.Unauthenticated, nil, "%s: %s holds no credentials: it is not JSON", source, path)
	}
	creds, err := credentials.NewCredentialsFromJSON(file.Type, b, &credentials.DetectOptions{Scopes: []string{scope}, Client: &http.Client{Timeout: limit}})
	var token *auth.Token
	if err == nil {
		token, err = creds.Token(ctx)
	}
	if err != nil {
		return nil, fault.New(fault.Unauthenticated, err, "%s: the credentials of %s gave no access token; run: gcloud auth application-default login", source, path)
	}
	account := file.Email
	if account == "" {
		account = impersonatedAccount(file.Impersonate)
	}
	return &Credential{Token: token.Value, Source: source, Account: account, Project: file.ProjectID, Quota: file.Type == credentials.AuthorizedUser, Default: true}, nil
}

func accessMetadata(ctx context.Context, getenv func(string) string) (*Credential, error) {
	body, host, err := metadataGet(ctx, getenv, "instance/service-accounts/default/token")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		return nil, fault.New(fault.Unauthenticated, nil, "the metadata server at %s gave no access token", host)
	}
	c := &Credential{Token: answer.Token, Source: "the metadata server", Default: true}
	if email, _, err := metadataGet(ctx, getenv, "instance/service-accounts/default/email"); err == nil {
		c.Account = strings.TrimSpace(string(email))
	}
	if project, _, err := metadataGet(ctx, getenv, "project/project-id"); err == nil {
		c.Project = strings.TrimSpace(string(project))
	}
	return c, nil
}

func accessGcloud(ctx context.Context, getenv func(string) string) (*Credential, error) {
	program := Find(getenv, "gcloud")
	if program == "" {
		return nil, errNone
	}
	out, said, err := runGcloud(ctx, program, "auth", "print-access-token", "--quiet")
	if err != nil {
		return nil, gcloudError(ctx, "auth print-access-token", said, err)
	}
	token, err := check(out, "gcloud auth print-access-token")
	return &Credential{Token: token, Source: "gcloud"}, err
}
