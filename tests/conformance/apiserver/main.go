// A Kubernetes API server and the etcd that it keeps its objects in, as one program, for tests.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: apiserver etcd CONFIGURATION | apiserver kube-apiserver OPTION ...")
	}
	switch os.Args[1] {
	case "etcd":
		keep(os.Args[2])
	case "kube-apiserver":
		command := app.NewAPIServerCommand()
		command.SetArgs(os.Args[2:])
		os.Exit(cli.Run(command))
	default:
		fail("neither etcd nor kube-apiserver")
	}
}

// keep runs etcd as a file of its own configuration says, until it is told to end.
func keep(path string) {
	settings, err := embed.ConfigFromFile(path)
	check(err)
	server, err := embed.StartEtcd(settings)
	check(err)
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-ending:
		server.Close()
	case err := <-server.Err():
		fail(err.Error())
	}
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(1)
}
