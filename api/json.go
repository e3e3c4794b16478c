package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"gopkg.in/yaml.v3"
)

// toJSON turns a YAML document into JSON with its members in their order, so
// that a reader of the JSON finds what stands in the YAML, where it stands.
func toJSON(text []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	var flat bytes.Buffer
	if err := write(&flat, document.Content[0]); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, flat.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func write(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		return members(b, n)
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.ScalarNode:
		return scalar(b, n)
	}
	return fmt.Errorf("line %d: aliases are not used in the contract", n.Line)
}

func members(b *bytes.Buffer, n *yaml.Node) error {
	b.WriteByte('{')
	for i := 0; i < len(n.Content); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(n.Content[i].Value)
		if err != nil {
			return err
		}
		b.Write(name)
		b.WriteByte(':')
		if err := write(b, n.Content[i+1]); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func scalar(b *bytes.Buffer, n *yaml.Node) error {
	var value any
	if err := n.Decode(&value); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	if value == nil {
		return fmt.Errorf("line %d: null: a comma in a flow mapping that wants quotes?", n.Line)
	}
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	return nil
}
