package example;

import java.util.List;
import java.util.stream.Collectors;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.extensions.python.PythonExternalTransform;
import org.apache.beam.sdk.options.Description;
import org.apache.beam.sdk.options.PipelineOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.options.Validation;
import org.apache.beam.sdk.schemas.Schema;
import org.apache.beam.sdk.schemas.Schema.FieldType;
import org.apache.beam.sdk.transforms.Create;
import org.apache.beam.sdk.transforms.DoFn;
import org.apache.beam.sdk.transforms.ParDo;
import org.apache.beam.sdk.values.PCollection;
import org.apache.beam.sdk.values.PCollectionTuple;
import org.apache.beam.sdk.values.Row;
import org.apache.beam.sdk.values.TupleTag;

/** Scores documents in a Java pipeline, and drops the copies. */
public final class ScoreAndDeduplicate {
  /** Where the Python transforms are served. */
  public interface Options extends PipelineOptions {
    @Description("Address of the expansion service, such as localhost:8097.")
    @Validation.Required
    String getExpansionService();

    void setExpansionService(String address);
  }

  private static final Schema DOCUMENT =
      Schema.builder()
          .addStringField("id")
          .addStringField("body")
          .addNullableField("stars", FieldType.INT64)
          .build();

  private static final String QUAY =
      "Rain again, all day, and the river is up to the second step of the quay.";
  private static final String WALL =
      "The tide came in at noon, and we walked back along the wall, wet and laughing.";

  public static void main(String[] arguments) {
    Options options =
        PipelineOptionsFactory.fromArgs(arguments).withValidation().as(Options.class);
    Pipeline pipeline = Pipeline.create(options);
    PCollection<Row> documents =
        pipeline.apply(
            Create.of(
                    document("quay", QUAY, 5L),
                    document("again", QUAY.replace(" ", "  "), null),
                    document("wall", WALL, 3L))
                .withRowSchema(DOCUMENT));

    // Keyword arguments are the fields of the Python class; one value stands for a list.
    PCollection<Row> scored =
        documents.apply(
            "Score",
            PythonExternalTransform.<PCollection<Row>, PCollection<Row>>from(
                    "synthfilter.Score", options.getExpansionService())
                .withKwarg("threshold", 0.9)
                .withKwarg("fields", "text=body"));
    PCollectionTuple unique =
        scored.apply(
            "Deduplicate",
            PythonExternalTransform.<PCollection<Row>, PCollectionTuple>from(
                    "synthfilter.Deduplicate", options.getExpansionService())
                .withKwargs(
                    Row.withSchema(
                            Schema.builder()
                                .addArrayField("keep", FieldType.STRING)
                                .addArrayField("fields", FieldType.STRING)
                                .build())
                        .addValues(List.of("longest"), List.of("text=body"))
                        .build()));

    show("kept", unique);
    show("dropped", unique);
    pipeline.run().waitUntilFinish();
  }

  private static Row document(String id, String body, Long stars) {
    return Row.withSchema(DOCUMENT).addValues(id, body, stars).build();
  }

  private static void show(String name, PCollectionTuple outputs) {
    PCollection<Row> rows = outputs.get(new TupleTag<Row>(name) {});
    rows.apply("Show " + name, ParDo.of(new Show(name)));
  }

  /** Prints what is known of a document, without its text. */
  private static class Show extends DoFn<Row, Void> {
    private final String name;

    Show(String name) {
      this.name = name;
    }

    @ProcessElement
    public void process(@Element Row row) {
      String fields =
          row.getSchema().getFieldNames().stream()
              .filter(field -> !field.equals("body"))
              .map(field -> " " + field + "=" + row.getValue(field))
              .collect(Collectors.joining());
      System.out.println(name + fields);
    }
  }
}
