// What Go's encoding/json makes of bodies, as Ollama declares them: one in hexadecimal a line, one verdict in JSON a line.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

type options struct {
	IncludeUsage bool `json:"include_usage"`
}

type body struct {
	Model         string   `json:"model"`
	Stream        bool     `json:"stream"`
	StreamOptions *options `json:"stream_options"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<28)
	for lines.Scan() {
		data, err := hex.DecodeString(lines.Text())
		if err != nil {
			panic(err)
		}
		var read body
		if err := json.Unmarshal(data, &read); err != nil {
			fmt.Println("null")
			continue
		}
		usage := read.StreamOptions != nil && read.StreamOptions.IncludeUsage
		verdict, err := json.Marshal(map[string]any{"model": read.Model, "stream": read.Stream, "usage": usage})
		if err != nil {
			panic(err)
		}
		fmt.Println(string(verdict))
	}
}
