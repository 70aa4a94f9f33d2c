// A server of net/http that is stopped by Shutdown:
//
//	gohttp PORT GRACE-IN-SECONDS [PEM-FILE]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func asked(request *http.Request, name string) float64 {
	value, _ := strconv.ParseFloat(request.URL.Query().Get(name), 64)
	return value
}

func slow(writer http.ResponseWriter, request *http.Request) {
	select {
	case <-time.After(time.Duration(asked(request, "seconds") * float64(time.Second))):
	case <-request.Context().Done():
	}
	io.WriteString(writer, "slow\n")
}

func upload(writer http.ResponseWriter, request *http.Request) {
	size, err := io.Copy(io.Discard, request.Body)
	if err == nil {
		fmt.Fprintf(writer, "%d\n", size)
	}
}

func download(writer http.ResponseWriter, request *http.Request) {
	left := int(asked(request, "bytes"))
	writer.Header().Set("Content-Length", strconv.Itoa(left))
	block := make([]byte, 65536)
	for left > 0 {
		if left < len(block) {
			block = block[:left]
		}
		if _, err := writer.Write(block); err != nil {
			return
		}
		left -= len(block)
	}
}

func routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(writer http.ResponseWriter, _ *http.Request) {
		io.WriteString(writer, "hello\n")
	})
	mux.HandleFunc("/echo", func(writer http.ResponseWriter, request *http.Request) {
		io.WriteString(writer, request.URL.Query().Get("n")+"\n")
	})
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/upload", upload)
	mux.HandleFunc("/download", download)
	return mux
}

func serve(server *http.Server, pem string) error {
	if pem == "" {
		return server.ListenAndServe()
	}
	return server.ListenAndServeTLS(pem, pem)
}

func main() {
	if os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	grace, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: routes()}
	over := make(chan struct{})
	go func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		<-signals
		deadline, cancel := context.WithTimeout(context.Background(), time.Duration(grace)*time.Second)
		defer cancel()
		if server.Shutdown(deadline) != nil {
			server.Close()
		}
		close(over)
	}()
	if err := serve(server, os.Args[3]); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-over
}
