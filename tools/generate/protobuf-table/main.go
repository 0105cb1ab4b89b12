// Prints how the messages of Kubernetes' kinds are laid out in protobuf, and how Go writes them as JSON, as one JSON object.
// Standard input: [["group", "version"], …]. It reads nothing but the struct tags of the published Go types.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// A field: [number, JSON name, type, flags]. The type is a scalar (string, bool, int, double, bytes), the name of a message,
// `[]type` or `map[key]type`. Flags: o omitempty, z omitzero, p pointer, i inline.
type field [4]any

var messages = map[string][]field{}

// Types with their own JSON form; the reader knows each by name.
var special = map[string]bool{
	"Quantity": true, "IntOrString": true, "Time": true, "MicroTime": true, "Duration": true, "FieldsV1": true,
	"RawExtension": true, "JSON": true, "JSONSchemaPropsOrArray": true, "JSONSchemaPropsOrBool": true,
	"JSONSchemaPropsOrStringArray": true, "Verbs": true, "ExtraValue": true,
}

func nameOf(t reflect.Type) string {
	if special[t.Name()] {
		return "@" + t.Name()
	}
	path := strings.TrimPrefix(t.PkgPath(), "k8s.io/")
	path = strings.TrimPrefix(path, "api/")
	path = strings.TrimPrefix(path, "apimachinery/pkg/apis/")
	path = strings.TrimPrefix(path, "apiextensions-apiserver/pkg/apis/")
	return strings.ReplaceAll(path, "/", ".") + "." + t.Name()
}

func typeOf(t reflect.Type) string {
	if special[t.Name()] {
		visitSpecial(t)
		return nameOf(t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint32:
		return "int"
	case reflect.Float64:
		return "double"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + typeOf(t.Elem())
	case reflect.Map:
		return "map[" + typeOf(t.Key()) + "]" + typeOf(t.Elem())
	case reflect.Struct:
		visit(t)
		return nameOf(t)
	}
	panic(fmt.Sprintf("no protobuf form known for %v", t))
}

func visitSpecial(t reflect.Type) {
	if strings.HasPrefix(t.Name(), "JSONSchemaProps") {
		visit(reflect.TypeFor[apiextensions.JSONSchemaProps]())
	}
}

func visit(t reflect.Type) {
	name := nameOf(t)
	if _, known := messages[name]; known {
		return
	}
	messages[name] = []field{}
	fields := []field{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("protobuf")
		if tag == "" || tag == "-" {
			continue
		}
		number, err := strconv.Atoi(strings.Split(tag, ",")[1])
		if err != nil {
			panic(fmt.Sprintf("%s.%s: %v", name, f.Name, err))
		}
		options := strings.Split(f.Tag.Get("json"), ",")
		flags := ""
		for _, option := range options[1:] {
			switch option {
			case "omitempty":
				flags += "o"
			case "omitzero":
				flags += "z"
			case "inline":
				flags += "i"
			}
		}
		if f.Anonymous && options[0] == "" && !strings.Contains(flags, "i") {
			flags += "i"
		}
		if f.Type.Kind() == reflect.Pointer {
			flags += "p"
		}
		fields = append(fields, field{number, options[0], typeOf(f.Type), flags})
	}
	messages[name] = fields
}

func main() {
	var wanted [][2]string
	if err := json.NewDecoder(os.Stdin).Decode(&wanted); err != nil {
		panic(err)
	}
	all := runtime.NewScheme()
	if err := scheme.AddToScheme(all); err != nil {
		panic(err)
	}
	if err := apiextensions.AddToScheme(all); err != nil {
		panic(err)
	}
	kinds := map[string]string{}
	for _, one := range wanted {
		version := schema.GroupVersion{Group: one[0], Version: one[1]}
		for kind, t := range all.KnownTypes(version) {
			if kind == "WatchEvent" || t.PkgPath() == "" {
				continue
			}
			visit(t)
			kinds[version.String()+"/"+kind] = nameOf(t)
		}
	}
	for _, t := range []reflect.Type{
		reflect.TypeFor[metav1.DeleteOptions](), reflect.TypeFor[metav1.Status](), reflect.TypeFor[metav1.CreateOptions](),
		reflect.TypeFor[metav1.UpdateOptions](), reflect.TypeFor[metav1.PatchOptions](), reflect.TypeFor[metav1.ListOptions](),
		reflect.TypeFor[metav1.PartialObjectMetadata](), reflect.TypeFor[metav1.PartialObjectMetadataList](),
	} {
		visit(t)
		kinds["meta.k8s.io/v1/"+t.Name()] = nameOf(t)
	}
	names := make([]string, 0, len(messages))
	for name := range messages {
		names = append(names, name)
	}
	sort.Strings(names)
	out := []byte(`{"kinds":`)
	text, err := json.Marshal(kinds)
	if err != nil {
		panic(err)
	}
	out = append(out, text...)
	for _, name := range names {
		text, err := json.Marshal(messages[name])
		if err != nil {
			panic(err)
		}
		out = append(out, fmt.Sprintf(",%q:%s", name, text)...)
	}
	os.Stdout.Write(append(out, '}', '\n'))
}
