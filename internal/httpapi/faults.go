package httpapi

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"tapedeck/internal/control"
	"tapedeck/internal/voice"
)

// faults are what is wrong with a request, by member. A member in a member is
// named by its path, as in "inbound.callFlow.0.options.to".
type faults map[string][]string

func (f faults) add(member, why string) {
	if member == "" {
		member = "body"
	}
	member = printable(member)
	if !slices.Contains(f[member], why) {
		f[member] = append(f[member], why)
	}
}

// printable is text of a client as it may stand in an answer.
func printable(text string) string {
	const longest = 200
	text = strings.ToValidUTF8(text, "?")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// checkBody holds a body against its schema and adds what the document does not
// say of it.
func checkBody(schema *openapi3.Schema, tree map[string]any, found faults) {
	visit(schema, tree, "", found)
	// The document has the schema of RecordCall as it was given, which names
	// no minimum.
	if schema.Title == "Record Call" {
		n, ok := tree["maxLength"].(json.Number)
		if ok && strings.HasPrefix(n.String(), "-") && found["maxLength"] == nil {
			found.add("maxLength", "must be at least 0")
		}
	}
}

// visit holds a value against a schema. Path is where the value stands.
func visit(schema *openapi3.Schema, value any, path string, found faults) {
	before := maps.Clone(found)
	err := schema.VisitJSON(value,
		openapi3.MultiErrors(),
		openapi3.EnableFormatValidation(),
		openapi3.DisableSchemaErrorDetails(),
		openapi3.WithStringFormatValidator("uuid", format(isUUID)),
		openapi3.WithStringFormatValidator("cidr", format(isNetwork)),
		openapi3.WithStringFormatValidator("date-time", format(isTime)),
	)
	if err == nil {
		return
	}
	collect(err, path, func(member, why string) {
		if _, wrong := before[member]; !wrong { // a number that could not be read is wrong once
			found.add(member, why)
		}
	})
}

// collect walks the errors of a check down to the members that they are about.
func collect(err error, path string, add func(member, why string)) {
	var many openapi3.MultiError
	switch e := err.(type) { //nolint:errorlint // the tree is walked level by level
	case openapi3.MultiError:
		for _, one := range e {
			collect(one, path, add)
		}
	case *openapi3.SchemaError:
		member := path
		for _, name := range e.JSONPointer() {
			member = join(member, name)
		}
		switch {
		case e.SchemaField == "oneOf" && errors.As(e.Origin, &many):
			// The paths in there begin at the same place as this one's.
			collect(many, path, add)
		case e.SchemaField == "properties" && strings.HasSuffix(e.Reason, "unsupported"):
			unknown(e, member, add)
		case e.SchemaField == "discriminator":
			add(join(member, e.Schema.Discriminator.PropertyName), "must be one of "+strings.Join(slices.Sorted(maps.Keys(e.Schema.Discriminator.Mapping)), ", "))
		default:
			add(member, reason(e))
		}
	default:
		add(path, "is not as it must be")
	}
}

// unknown names the members of an object that its schema does not have.
func unknown(e *openapi3.SchemaError, member string, add func(member, why string)) {
	object, _ := e.Value.(map[string]any)
	for name := range object {
		if _, known := e.Schema.Properties[name]; !known {
			add(join(member, name), "is not a known member")
		}
	}
}

func reason(e *openapi3.SchemaError) string {
	switch e.SchemaField {
	case "required":
		return "is required"
	case "pattern":
		return "must have the form " + e.Schema.Pattern
	case "format":
		if e.Origin != nil {
			return e.Origin.Error()
		}
	case "enum":
		var allowed []string
		for _, value := range e.Schema.Enum {
			if s, ok := value.(string); ok {
				allowed = append(allowed, s)
			}
		}
		return "must be one of " + strings.Join(allowed, ", ")
	}
	why := strings.TrimPrefix(strings.TrimPrefix(e.Reason, "value "), "number ")
	if why == "" {
		return "is not as it must be"
	}
	return why
}

// format makes a format of the document of a check. What the check says is for
// the user.
func format(check func(string) error) openapi3.StringFormatValidator {
	return openapi3.NewCallbackValidator(check)
}

func isUUID(text string) error {
	_, err := voice.CanonicalID(text)
	return err
}

func isNetwork(text string) error {
	_, err := control.ParseNetwork(text)
	return err
}

func isTime(text string) error {
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return errors.New("must be a time by RFC 3339, as 2026-05-04T03:02:01Z")
	}
	return nil
}

// checkQuery holds the query's parameters against the document, and returns
// those that it names, in the spelling that the generated code reads.
func checkQuery(parameters openapi3.Parameters, given url.Values, found faults) url.Values {
	out := url.Values{}
	whole := regexp.MustCompile(`^-?[0-9]{1,18}$`)
	for _, ref := range parameters {
		p := ref.Value
		values := given[p.Name]
		if p.In != openapi3.ParameterInQuery || len(values) == 0 {
			continue
		}
		schema := p.Schema.Value
		var value any = values[0]
		switch {
		case schema.Type.Is(openapi3.TypeArray):
			items := make([]any, len(values))
			for i, v := range values {
				items[i] = v
			}
			value = items
		case len(values) > 1:
			found.add(p.Name, "stands in the query more than once")
			continue
		case schema.Type.Is(openapi3.TypeInteger) && whole.MatchString(values[0]):
			value = json.Number(values[0])
		}
		visit(schema, value, p.Name, found)
		out[p.Name] = canonicalValues(schema, values)
	}
	return out
}

// canonicalValues writes ids in lower case, as they are kept.
func canonicalValues(schema *openapi3.Schema, values []string) []string {
	if schema.Items != nil {
		schema = schema.Items.Value
	}
	if schema.Format != "uuid" {
		return values
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.ToLower(v)
	}
	return out
}
