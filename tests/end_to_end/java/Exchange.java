// Sends a record with each of three tracers, or receives what was sent to each, and prints the contexts of the tracers' spans.
//
//     java Exchange send BROKER TOPIC         one record a tracer, its name as the value, with the headers of one sent before
//     java Exchange receive BROKER PREFIX N   N records of the topic PREFIX-{tracer}, by each
//
// A line of JSON for each span: {"tracer", "value" of the record, "trace", "span", "parent"}, ids in hex as the tracer prints them.

import brave.Tracing;
import brave.handler.MutableSpan;
import brave.handler.SpanHandler;
import brave.kafka.clients.KafkaTracing;
import brave.propagation.TraceContext;
import io.jaegertracing.internal.JaegerSpan;
import io.jaegertracing.internal.JaegerTracer;
import io.jaegertracing.internal.propagation.B3TextMapCodec;
import io.jaegertracing.internal.reporters.InMemoryReporter;
import io.jaegertracing.internal.samplers.ConstSampler;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.ContextPropagators;
import io.opentelemetry.instrumentation.kafkaclients.v2_6.KafkaTelemetry;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.trace.ReadWriteSpan;
import io.opentelemetry.sdk.trace.ReadableSpan;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentracing.contrib.kafka.TracingKafkaConsumer;
import io.opentracing.contrib.kafka.TracingKafkaProducer;
import io.opentracing.propagation.Format;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Exchange {
    /** Wraps the clients; tells of the spans that have ended, in the records' order, as {trace, span, parent}. */
    interface Tracer {
        Producer<String, String> wrap(Producer<String, String> producer);

        Consumer<String, String> wrap(Consumer<String, String> consumer);

        List<String[]> spans();
    }

    /** As it comes: trace ids of 64 bits. */
    static class OpenTracing implements Tracer {
        final InMemoryReporter reporter = new InMemoryReporter();
        final B3TextMapCodec codec = new B3TextMapCodec();
        final JaegerTracer tracer = new JaegerTracer.Builder("java").withReporter(reporter).withSampler(new ConstSampler(true))
            .registerInjector(Format.Builtin.TEXT_MAP, codec).registerExtractor(Format.Builtin.TEXT_MAP, codec).build();

        public Producer<String, String> wrap(Producer<String, String> producer) {
            return new TracingKafkaProducer<>(producer, tracer);
        }

        public Consumer<String, String> wrap(Consumer<String, String> consumer) {
            return new TracingKafkaConsumer<>(consumer, tracer);
        }

        public List<String[]> spans() {
            List<String[]> found = new ArrayList<>();
            for (JaegerSpan span : reporter.getSpans())
                found.add(new String[] {span.context().toTraceId(), span.context().toSpanId(), Long.toHexString(span.context().getParentId())});
            return found;
        }
    }

    static class Brave extends SpanHandler implements Tracer {
        final List<String[]> ended = Collections.synchronizedList(new ArrayList<>());
        final KafkaTracing tracing = KafkaTracing.create(Tracing.newBuilder().traceId128Bit(true).addSpanHandler(this).build());

        public Producer<String, String> wrap(Producer<String, String> producer) {
            return tracing.producer(producer);
        }

        public Consumer<String, String> wrap(Consumer<String, String> consumer) {
            return tracing.consumer(consumer);
        }

        @Override public boolean end(TraceContext context, MutableSpan span, Cause cause) {
            ended.add(new String[] {span.traceId(), span.id(), span.parentId()});
            return true;
        }

        public List<String[]> spans() {
            return ended;
        }
    }

    static class OpenTelemetry implements Tracer, SpanProcessor {
        final List<String[]> ended = Collections.synchronizedList(new ArrayList<>());
        final KafkaTelemetry telemetry = KafkaTelemetry.create(OpenTelemetrySdk.builder()
            .setTracerProvider(SdkTracerProvider.builder().addSpanProcessor(this).build())
            .setPropagators(ContextPropagators.create(W3CTraceContextPropagator.getInstance())).build());

        public Producer<String, String> wrap(Producer<String, String> producer) {
            return telemetry.wrap(producer);
        }

        public Consumer<String, String> wrap(Consumer<String, String> consumer) {
            return telemetry.wrap(consumer);
        }

        public void onStart(Context parent, ReadWriteSpan span) {}

        public boolean isStartRequired() {
            return false;
        }

        public boolean isEndRequired() {
            return true;
        }

        public void onEnd(ReadableSpan span) {
            ended.add(new String[] {
                span.getSpanContext().getTraceId(), span.getSpanContext().getSpanId(), span.getParentSpanContext().getSpanId()});
        }

        public List<String[]> spans() {
            return ended;
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (Tracer tracer : List.of(new OpenTracing(), new Brave(), new OpenTelemetry())) {
            String name = tracer.getClass().getSimpleName();
            List<String> values = arguments[0].equals("send")
                ? send(tracer, name, arguments[1], arguments[2])
                : receive(tracer, arguments[1], arguments[2] + "-" + name, Integer.parseInt(arguments[3]));
            print(name, values, tracer.spans());
        }
    }

    static List<String> send(Tracer tracer, String name, String broker, String topic) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", broker);
        try (Producer<String, String> producer =
                tracer.wrap(new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer()))) {
            ProducerRecord<String, String> before = new ProducerRecord<>(topic + "-before", "before " + name);
            producer.send(before).get();
            producer.send(new ProducerRecord<>(topic, (Integer) null, (String) null, name, before.headers())).get();
        }
        return List.of("before " + name, name);
    }

    static List<String> receive(Tracer tracer, String broker, String topic, int count) {
        Map<String, Object> settings = Map.of("bootstrap.servers", broker, "auto.offset.reset", "earliest");
        List<String> values = new ArrayList<>();
        try (Consumer<String, String> consumer =
                tracer.wrap(new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer()))) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            for (int polls = 0; values.size() < count && polls < 20; polls++)
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1)))
                    values.add(record.value());
        }
        return values;
    }

    static void print(String name, List<String> values, List<String[]> spans) {
        if (values.size() != spans.size())
            throw new IllegalStateException(name + ": " + values.size() + " records, " + spans.size() + " spans");
        for (int i = 0; i < values.size(); i++) {
            String[] ids = spans.get(i);
            System.out.printf("{\"tracer\": \"%s\", \"value\": \"%s\", \"trace\": \"%s\", \"span\": \"%s\", \"parent\": \"%s\"}%n",
                name, values.get(i), ids[0], ids[1], ids[2] == null ? "0" : ids[2]);
        }
    }
}
