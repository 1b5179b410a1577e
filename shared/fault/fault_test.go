package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	cause := errors.New("secret cause")
	for name, tc := range map[string]struct {
		err  error
		want Kind
	}{
		"wrapped fault":           {fmt.Errorf("read x: %w", New(Invalid, cause, "bad")), Invalid},
		"outermost fault wins":    {New(NotFound, New(Invalid, nil, "in"), "out"), NotFound},
		"deadline":                {fmt.Errorf("call: %w", context.DeadlineExceeded), Timeout},
		"cancelled":               {context.Canceled, Unavailable},
		"a fault over a deadline": {New(Unavailable, context.DeadlineExceeded, "busy"), Unavailable},
		"unknown errors":          {cause, Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := KindOf(tc.err); got != tc.want {
				t.Errorf("KindOf(%v) = %v, want %v", tc.err, got, tc.want)
			}
		})
	}
}

func TestPublicHidesTheCause(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		errors.New("secret"), New(Internal, errors.New("secret"), "could not"), fmt.Errorf("secret: %w", context.DeadlineExceeded),
	} {
		p := Public(err)
		if got := p.Error(); got == "" || errors.Unwrap(p) != nil || strings.Contains(got, "secret") {
			t.Errorf("Public(%v) = %q, cause %v", err, got, errors.Unwrap(p))
		}
	}
}

func TestTableIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := Internal; k <= Timeout; k++ {
		if k.String() == "" || seen[k.String()] || k.HTTPStatus() < 400 || k.GRPCCode() == 0 {
			t.Errorf("kind %d: name %q, status %d, code %d", k, k, k.HTTPStatus(), k.GRPCCode())
		}
		seen[k.String()] = true
		if k.Retry() != (k.HTTPStatus() >= 500 && k != Unimplemented) {
			t.Errorf("kind %v: status %d and Retry %v disagree: Pub/Sub redelivers on what is not 2xx", k, k.HTTPStatus(), k.Retry())
		}
	}
}
