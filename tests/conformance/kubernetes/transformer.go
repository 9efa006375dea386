package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2"
	kmsservice "k8s.io/kms/pkg/service"
)

// What API servers have unless they are told otherwise.
const (
	patience = 3 * time.Second
	lifetime = 3 * time.Minute
	provider = "clever-kms"
)

// place is what all values are bound to.
var place = value.DefaultContext("/registry/secrets/default/one")

// order is a line of the input, told is one of the output.
type order struct {
	Do    string `json:"do"`
	Value []byte `json:"value"`
}

type told struct {
	Value []byte `json:"value,omitempty"`
	Stale bool   `json:"stale"`
	KeyID string `json:"key_id,omitempty"`
	Error string `json:"error,omitempty"`
}

// server is the part of an API server that seals: Kubernetes' own service and transformer, and the state between them.
type server struct {
	service     kmsservice.Service
	transformer value.Transformer
	state       kmsv2.State
}

// transform does what is asked on its input, a line each, until that ends.
func transform(ctx context.Context, endpoint string) {
	var running *server
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked order
		check(json.Unmarshal(lines.Bytes(), &asked))
		if running == nil || asked.Do == "restart" {
			running = started(ctx, endpoint)
		}
		answer, err := running.do(ctx, asked)
		if err != nil {
			answer = told{Error: err.Error()}
		}
		check(answers.Encode(answer))
	}
	check(lines.Err())
}

// started returns one that knows nothing yet.
func started(ctx context.Context, endpoint string) *server {
	service, err := kmsv2.NewGRPCService(ctx, "unix://"+endpoint, provider, patience)
	check(err)
	made := &server{service: service}
	made.transformer = kmsv2.NewEnvelopeTransformer(service, provider, made.current, "tests")
	return made
}

func (s *server) do(ctx context.Context, asked order) (told, error) {
	switch asked.Do {
	case "restart":
		return told{}, nil
	case "follow":
		err := s.follow(ctx)
		return told{KeyID: s.state.EncryptedObjectKeyID}, err
	case "seal":
		sealed, err := s.transformer.TransformToStorage(ctx, asked.Value, place)
		return told{Value: sealed}, err
	case "open":
		opened, stale, err := s.transformer.TransformFromStorage(ctx, asked.Value, place)
		return told{Value: opened, Stale: stale}, err
	}
	return told{}, fmt.Errorf("no such order: %q", asked.Do)
}

// current is what the transformer asks for: nothing is read or written until a seed was sealed.
func (s *server) current() (kmsv2.State, error) {
	if s.state.Transformer == nil {
		return kmsv2.State{}, errors.New("no seed was sealed yet")
	}
	return s.state, nil
}

// follow does what API servers do every minute: they look at the status, and have a seed sealed by a new key.
func (s *server) follow(ctx context.Context) error {
	expires := time.Now().Add(lifetime)
	status, err := s.service.Status(ctx)
	if err != nil {
		return err
	}
	if status.Healthz != "ok" || status.Version != kmsv2.KMSAPIVersionv2 {
		return fmt.Errorf("not healthy: %s", status.Healthz)
	}
	if _, err := kmsv2.ValidateKeyID(status.KeyID); err != nil {
		return err
	}
	if s.state.Transformer != nil && s.state.EncryptedObjectKeyID == status.KeyID {
		s.state.ExpirationTimestamp = expires
		return nil
	}
	uid := fmt.Sprint(time.Now().UnixNano())
	transformer, sealed, cacheKey, err := kmsv2.GenerateTransformer(ctx, uid, s.service, true)
	if err != nil {
		return err
	}
	if sealed.KeyID != status.KeyID {
		return fmt.Errorf("the status is of key %q, the seed was sealed by %q", status.KeyID, sealed.KeyID)
	}
	s.state = kmsv2.State{
		Transformer:                           transformer,
		EncryptedObjectKeyID:                  sealed.KeyID,
		EncryptedObjectEncryptedDEKSource:     sealed.EncryptedDEKSource,
		EncryptedObjectAnnotations:            sealed.Annotations,
		EncryptedObjectEncryptedDEKSourceType: sealed.EncryptedDEKSourceType,
		UID:                                   uid,
		ExpirationTimestamp:                   expires,
		CacheKey:                              cacheKey,
		KMSProviderName:                       provider,
	}
	return nil
}
