// Package checked is what the Go programs of the client matrix share: what does not hold ends them with an exit code
// of 1, and what did hold is told in lines that the table of clients is made of.
package checked

import (
	"fmt"
	"os"
	"reflect"
	"strings"
)

// Must ends the program if err is not nil.
func Must(err error, doing string) {
	if err != nil {
		fail("%s: %v", doing, err)
	}
}

// Equal ends the program unless found is what was expected.
func Equal(found, expected any, what string) {
	if !reflect.DeepEqual(found, expected) {
		fail("%s: found %#v, expected %#v", what, found, expected)
	}
}

// That ends the program unless holds.
func That(holds bool, what string) {
	if !holds {
		fail("does not hold: %s", what)
	}
}

// Refused ends the program unless err is there and says text.
func Refused(err error, text, what string) {
	if err == nil {
		fail("%s: was not refused", what)
	}
	if !strings.Contains(err.Error(), text) {
		fail("%s: was refused by %q, which does not say %q", what, err, text)
	}
}

// Did tells of an area what was seen to work.
func Did(area, what string) {
	fmt.Printf("did: %s: %s\n", area, what)
}

// Given returns a variable that the test must have set.
func Given(name string) string {
	value := os.Getenv(name)
	if value == "" {
		fail("%s is not set", name)
	}
	return value
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}
