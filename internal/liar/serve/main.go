// Command serve is a lying metrics server to look at: it plays a scenario of the simulated
// shop around the present, and misbehaves by a script.
//
//	go run ./internal/liar/serve -scenario healthy -script script.yaml
//
// The deployment is at the next full minute. Point a source at the address that it
// prints, send the event, and see what Assay makes of it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/internal/liar"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func serve() error {
	listen := flag.String("listen", "127.0.0.1:9090", "address to listen on")
	name := flag.String("scenario", "healthy", "scenario of the simulated shop")
	seed := flag.Uint64("seed", 1, "seed of the simulated shop")
	file := flag.String("script", "", "YAML file with the rules; none: an honest server")
	flag.Parse()

	scenario, err := lab.Find(*name)
	if err != nil {
		return err
	}
	var script liar.Script
	if *file != "" {
		text, err := os.ReadFile(*file)
		if err != nil {
			return err
		}
		if script, err = liar.Read(text); err != nil {
			return fmt.Errorf("%s: %w", *file, err)
		}
	}
	deployed := time.Now().Add(time.Minute).Truncate(time.Minute).UTC()
	telemetry := liar.Record(scenario, *seed, deployed, 2*time.Hour)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s: %s %s is deployed to %s beside %s at %s\n",
		listener.Addr(), lab.Service, lab.CanaryVersion, scenario.Environment(), lab.BaselineVersion, deployed.Format(time.RFC3339))
	server := &http.Server{Handler: liar.NewServer(telemetry, script, time.Now), ReadHeaderTimeout: 10 * time.Second}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
