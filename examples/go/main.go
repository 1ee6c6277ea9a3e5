// Scores documents in a Go pipeline, and drops the copies.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"reflect"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/typex"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/transforms/xlang/python"
)

var expansionService = flag.String("expansion_service", "localhost:8097",
	"Address of the expansion service.")

const (
	namedTransform = "beam:transforms:python:fully_qualified_named"
	quay           = "Rain again, all day, and the river is up to the second step of the quay."
	wall           = "The tide came in at noon, and we walked back along the wall, wet and laughing."
)

// Document is what goes in.
type Document struct {
	Id    string `beam:"id"`
	Body  string `beam:"body"`
	Stars *int64 `beam:"stars"`
}

// Scored is a document with what Score adds to it. Order, types and tags are those of
// the rows that come from Python; a name is its tag with a capital, as Beam makes it.
type Scored struct {
	Id           string   `beam:"id"`
	Body         string   `beam:"body"`
	Stars        *int64   `beam:"stars"`
	Ai_score     *float64 `beam:"ai_score"`
	Origin       *string  `beam:"origin"`
	Content_hash *string  `beam:"content_hash"`
}

// Dropped is a scored document with why it was dropped.
type Dropped struct {
	Id           string   `beam:"id"`
	Body         string   `beam:"body"`
	Stars        *int64   `beam:"stars"`
	Ai_score     *float64 `beam:"ai_score"`
	Origin       *string  `beam:"origin"`
	Content_hash *string  `beam:"content_hash"`
	Reason       string   `beam:"reason"`
	Evidence     *string  `beam:"evidence"`
}

// NoArgs stands for positional arguments: there are none.
type NoArgs struct{}

// ScoreOptions are fields of synthfilter.Score.
type ScoreOptions struct {
	Threshold float64  `beam:"threshold"`
	Fields    []string `beam:"fields"`
}

// DeduplicateOptions are fields of synthfilter.Deduplicate.
type DeduplicateOptions struct {
	Keep   []string `beam:"keep"`
	Fields []string `beam:"fields"`
}

func init() {
	beam.RegisterType(reflect.TypeOf((*Document)(nil)).Elem())
	beam.RegisterType(reflect.TypeOf((*Scored)(nil)).Elem())
	beam.RegisterType(reflect.TypeOf((*Dropped)(nil)).Elem())
	// Not with the package register: rows come as structs without a name, which only
	// reflection takes for these.
	beam.RegisterFunction(showKept)
	beam.RegisterFunction(showDropped)
}

func showKept(row Scored) {
	fmt.Printf("kept id=%s stars=%s ai_score=%v origin=%s content_hash=%s\n",
		row.Id, stars(row.Stars), *row.Ai_score, *row.Origin, *row.Content_hash)
}

func showDropped(row Dropped) {
	fmt.Printf("dropped id=%s stars=%s ai_score=%v origin=%s content_hash=%s reason=%s evidence=%s\n",
		row.Id, stars(row.Stars), *row.Ai_score, *row.Origin, *row.Content_hash, row.Reason, *row.Evidence)
}

func stars(number *int64) string {
	if number == nil {
		return "null"
	}
	return fmt.Sprint(*number)
}

// rows returns the type of a collection of these structs.
func rows[T any]() beam.FullType {
	return typex.New(reflect.TypeOf((*T)(nil)).Elem())
}

func main() {
	flag.Parse()
	beam.Init()
	p, s := beam.NewPipelineWithRoot()
	five, three := int64(5), int64(3)
	documents := beam.Create(s,
		Document{"quay", quay, &five}, Document{"again", " " + quay, nil}, Document{"wall", wall, &three})

	score := python.NewExternalTransform[NoArgs, ScoreOptions]("synthfilter.Score")
	score.WithKwargs(ScoreOptions{Threshold: 0.9, Fields: []string{"text=body"}})
	scored := beam.CrossLanguage(s, namedTransform, beam.CrossLanguagePayload(score),
		*expansionService, beam.UnnamedInput(documents),
		beam.UnnamedOutput(rows[Scored]()))[beam.UnnamedOutputTag()]

	deduplicate := python.NewExternalTransform[NoArgs, DeduplicateOptions]("synthfilter.Deduplicate")
	deduplicate.WithKwargs(DeduplicateOptions{Keep: []string{"longest"}, Fields: []string{"text=body"}})
	unique := beam.CrossLanguage(s, namedTransform, beam.CrossLanguagePayload(deduplicate),
		*expansionService, beam.UnnamedInput(scored),
		map[string]beam.FullType{"kept": rows[Scored](), "dropped": rows[Dropped]()})

	beam.ParDo0(s, showKept, unique["kept"])
	beam.ParDo0(s, showDropped, unique["dropped"])
	if _, err := beam.Run(context.Background(), "universal", p); err != nil {
		log.Fatal(err)
	}
}
