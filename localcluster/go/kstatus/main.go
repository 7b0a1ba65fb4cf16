// Tells the status that kstatus computes of each object of a JSON list on standard input; Flux waits by the same library.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type told struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	var objects []unstructured.Unstructured
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		log.Fatalf("a JSON list of objects is expected: %v", err)
	}
	answers := make([]told, 0, len(objects))
	for _, object := range objects {
		result, err := status.Compute(&object)
		if err != nil {
			log.Fatal(err)
		}
		answers = append(answers, told{string(result.Status), result.Message})
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}
