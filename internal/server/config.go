package server

import "tapedeck/internal/config"

// Config is the whole configuration of a server. It stands here so that no one
// above has to know package config.
type Config = config.Config

// Source is where configuration comes from.
type Source = config.Source

// LoadConfig reads, merges and checks the configuration.
func LoadConfig(s Source) (*Config, error) { return config.Load(s) }
