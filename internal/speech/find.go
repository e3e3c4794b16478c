package speech

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"tapedeck/internal/audio"
)

// What an engine is chosen by. Auto is the service, where there is an address, and
// else the programs that this machine has.
const (
	Auto     = "auto"
	None     = "none"
	AService = "service"
	Flite    = "flite"
	Espeak   = "espeak-ng"
	Sphinx   = "pocketsphinx"
)

// sphinxProgram and sphinxDir are where packages put pocketsphinx.
const (
	sphinxProgram = "pocketsphinx_continuous"
	sphinxDir     = "/usr/share/pocketsphinx/model"
)

// findTime is how long the programs may take to say what they have.
const findTime = 10 * time.Second

// Options say which engines to look for.
type Options struct {
	Say        string // Auto, None, AService, Flite or Espeak
	Understand string // Auto, None, AService or Sphinx

	SayService        ServiceOptions // an empty URL = there is none
	UnderstandService ServiceOptions

	Work   Work   // runs programs; needed
	Models string // directory of pocketsphinx's models; empty = where packages put them
}

// Engines are those that were found.
type Engines struct {
	Voices Synthesizer // nil = nothing speaks
	Ears   Recognizer  // nil = nothing understands

	services []*Service
}

// Find looks for engines. One that was asked for by its name and is not there is an
// error; with Auto there may be none.
func Find(ctx context.Context, o Options) (*Engines, error) {
	if o.Work == nil {
		return nil, errors.New("speech: Work is needed")
	}
	o.Models = cmp.Or(o.Models, sphinxDir)
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	e := &Engines{}
	if err := e.findVoices(ctx, o); err != nil {
		return nil, err
	}
	return e, e.findEars(o)
}

// Close lets go of what the engines keep.
func (e *Engines) Close() error {
	var errs []error
	for _, s := range e.services {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

func (e *Engines) service(o ServiceOptions, member string, has int) (*Service, error) {
	if o.URL == "" || has == 0 {
		return nil, fmt.Errorf("speech service: its URL and its %s are needed", member)
	}
	s, err := NewService(o)
	if err == nil {
		e.services = append(e.services, s)
	}
	return s, err
}

func (e *Engines) findVoices(ctx context.Context, o Options) error {
	if o.Say == None {
		return nil
	}
	if o.Say == AService || o.Say == Auto && o.SayService.URL != "" {
		s, err := e.service(o.SayService, "voices", len(o.SayService.Voices))
		if err != nil {
			return err
		}
		e.Voices = s
		return nil
	}
	var best, near, espeak *speaker
	var errs []error
	if path, err := exec.LookPath(Flite); o.Say != Espeak {
		if err == nil {
			best, near, err = newFlite(ctx, path, o.Work)
		}
		errs = append(errs, named(Flite, err))
	}
	if path, err := exec.LookPath(Espeak); o.Say != Flite {
		if err == nil {
			espeak, err = newEspeak(ctx, path, o.Work)
		}
		errs = append(errs, named(Espeak, err))
	}
	// A voice of flite is better than one of espeak-ng where it is at home.
	joined := &choir{}
	for _, s := range []*speaker{best, espeak, near} {
		if s != nil {
			joined.engines = append(joined.engines, s)
		}
	}
	if len(joined.engines) > 0 {
		e.Voices = joined
		return nil
	}
	if o.Say == Auto {
		return nil
	}
	return errors.Join(errs...)
}

func (e *Engines) findEars(o Options) error {
	if o.Understand == None {
		return nil
	}
	if o.Understand == AService || o.Understand == Auto && o.UnderstandService.URL != "" {
		s, err := e.service(o.UnderstandService, "locales", len(o.UnderstandService.Locales))
		if err != nil {
			return err
		}
		e.Ears = s
		return nil
	}
	path, err := exec.LookPath(sphinxProgram)
	s := &sphinx{path: path, work: o.Work, models: sphinxModels(o.Models)}
	if err == nil && len(s.models) == 0 {
		err = fmt.Errorf("there is no model in %s", o.Models)
	}
	if err == nil {
		e.Ears = s
		return nil
	}
	if o.Understand == Auto {
		return nil
	}
	return named(Sphinx, err)
}

// named says which engine an error is of.
func named(engine string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("speech engine %s: %w", engine, err)
}

// choir is several synthesizers; the first that has a voice speaks with it.
type choir struct{ engines []Synthesizer }

func (c *choir) Name() string {
	name := ""
	for _, e := range c.engines {
		if name != "" && name != e.Name() {
			return name + " and " + e.Name()
		}
		name = e.Name()
	}
	return name
}

func (c *choir) Voices() []Voice {
	var all []Voice
	for _, e := range c.engines {
		for _, v := range e.Voices() {
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	return all
}

func (c *choir) Synthesize(ctx context.Context, u Utterance) (*audio.Clip, error) {
	for _, e := range c.engines {
		if _, err := Choose(e.Voices(), u); err == nil {
			return e.Synthesize(ctx, u)
		}
	}
	_, err := Choose(nil, u)
	return nil, err
}
