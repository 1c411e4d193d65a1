// Benthos, the engine of Redpanda Connect, with no more of its components than this comparison needs.
package main

import (
	"context"
	"net/http"

	"github.com/benthosdev/benthos/v4/public/service"

	_ "github.com/benthosdev/benthos/v4/public/components/io"
	_ "github.com/benthosdev/benthos/v4/public/components/kafka"
	_ "github.com/benthosdev/benthos/v4/public/components/pure"
)

func main() {
	// Its HTTP output keeps two idle connections for a host and has no setting for that: with 64 requests under way
	// it would open a connection for nearly each of them. This favours it.
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 128
	}
	service.RunCLI(context.Background())
}
