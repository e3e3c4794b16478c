package server

import (
	"time"

	"tapedeck/internal/fetch"
	"tapedeck/internal/httpapi"
	"tapedeck/internal/webhook"
)

// webhookTime is how long a receiver of events may take.
const webhookTime = 10 * time.Second

// openWebhooks builds the sender of webhooks, and returns what says whether it may
// reach an address.
func (s *Server) openWebhooks() (func(url string) error, error) {
	c := s.o.Config
	client := fetch.New(fetch.Options{
		AllowPrivate: c.AllowPrivateURLs, Timeout: webhookTime, HeaderTimeout: webhookTime, UserAgent: "Tapedeck/" + s.o.Version,
	})
	s.opened(func() error { client.Close(); return nil })
	var err error
	s.webhooks, err = webhook.New(webhook.Options{
		DB: s.db, Client: client, Body: httpapi.EventBody, Keep: c.Events.Keep, Logger: s.log, Registerer: s.registry,
	})
	schemes := []string{"https"}
	if c.AllowPrivateURLs {
		schemes = append(schemes, "http")
	}
	return func(url string) error {
		if err := client.Check(url, schemes...); err != nil {
			return err
		}
		return fetch.CheckExact(url) // it is signed
	}, err
}
