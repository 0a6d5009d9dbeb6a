/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bt.c - a graph of libbabeltrace2: a source.ctf.fs for every trace, one sink
 * of ours with an input for every stream. The sink merges the streams itself,
 * which costs less than a muxer component, and turns events into records.
 */
#include "bt.h"
#include "bt_apart.h"
#include "bt_event.h"
#include "memory.h"

#include <babeltrace2/babeltrace.h>

struct stream {
	struct sink *sink;
	bt_message_iterator *it;
	bt_message_array_const messages;
	uint64_t count, at;	/* of messages */
	bool ended, primed;
	uint32_t cpu_id;
	struct bt_pairing pairing;
	struct bt_event event;	/* the one that was read last */
};

struct sink {
	struct capture *c;
	merge_fn fn;
	void *ctx;
	unsigned streams;
	struct stream *stream;
	struct bt_schema *schema;
};

/* The root cause of what has just failed, as a problem of `what`. */
static void bt_problem(struct capture *c, const char *what)
{
	const bt_error *e = bt_current_thread_take_error();

	if (e && bt_error_get_cause_count(e)) {
		const bt_error_cause *cause =
			bt_error_borrow_cause_by_index(e, 0);
		const char *text = bt_error_cause_get_message(cause);

		capture_problem(c, "%s: libbabeltrace2 says: %.*s", what,
				(int)strcspn(text, "\n"), text);
	} else {
		capture_problem(c, "%s: libbabeltrace2 could not read it",
				what);
	}
	if (e)
		bt_error_release(e);
}

/* --- messages of one stream ----------------------------------------------- */

static void release_messages(struct stream *s)
{
	for (uint64_t i = 0; i < s->count; i++)
		bt_message_put_ref(s->messages[i]);
	s->count = s->at = 0;
}

static bool more_messages(struct stream *s)
{
	bt_message_iterator_next_status status;

	release_messages(s);
	if (s->ended)
		return false;
	do
		status = bt_message_iterator_next(s->it, &s->messages,
						  &s->count);
	while (status == BT_MESSAGE_ITERATOR_NEXT_STATUS_AGAIN);
	if (status == BT_MESSAGE_ITERATOR_NEXT_STATUS_OK)
		return true;
	if (status < 0)
		bt_problem(s->sink->c, s->sink->c->folder);
	s->count = 0;
	s->ended = true;
	return false;
}

static void packet_begins(struct stream *s, const bt_message *m)
{
	const bt_packet *p = bt_message_packet_beginning_borrow_packet_const(m);
	const bt_field *context = bt_packet_borrow_context_field_const(p);
	uint64_t id;

	if (context && bt_event_member(context, "cpu_id", &id))
		s->cpu_id = (uint32_t)id;
}

static void other_message(struct stream *s, const bt_message *m)
{
	uint64_t n = 0;

	switch (bt_message_get_type(m)) {
	case BT_MESSAGE_TYPE_PACKET_BEGINNING:
		packet_begins(s, m);
		break;
	case BT_MESSAGE_TYPE_DISCARDED_EVENTS:
		bt_message_discarded_events_get_count(m, &n);
		s->sink->c->lost += n;
		break;
	case BT_MESSAGE_TYPE_DISCARDED_PACKETS:
		bt_message_discarded_packets_get_count(m, &n);
		s->sink->c->packets_lost += n;
		break;
	default:
		break;
	}
}

/* The next event of the stream that we know, in s->event. */
static bool next_event(struct stream *s)
{
	for (;;) {
		if (s->at == s->count && !more_messages(s))
			return false;
		const bt_message *m = s->messages[s->at++];

		if (bt_message_get_type(m) != BT_MESSAGE_TYPE_EVENT)
			other_message(s, m);
		else if (bt_event_read(s->sink->schema, m, &s->event))
			return true;
	}
}

static const struct trace_header *next_record(void *source)
{
	struct stream *s = source;
	const struct trace_header *h;

	if (s->primed) {
		s->primed = false;
		return s->pairing.last;
	}
	while (next_event(s)) {
		h = bt_pairing_add(&s->pairing, &s->event);
		if (h)
			return h;
	}
	return bt_pairing_end(&s->pairing);
}

/* --- the sink ------------------------------------------------------------- */

static bt_component_class_initialize_method_status
initialize(bt_self_component_sink *self,
	   bt_self_component_sink_configuration *config, const bt_value *params,
	   void *data)
{
	struct sink *sink = data;
	char name[16];

	(void)config;
	(void)params;
	for (unsigned i = 0; i < sink->streams; i++) {
		snprintf(name, sizeof(name), "in%u", i);
		if (bt_self_component_sink_add_input_port(self, name, NULL,
							  NULL))
			return BT_COMPONENT_CLASS_INITIALIZE_METHOD_STATUS_ERROR;
	}
	bt_self_component_set_data(
		bt_self_component_sink_as_self_component(self), sink);
	return BT_COMPONENT_CLASS_INITIALIZE_METHOD_STATUS_OK;
}

static bt_component_class_sink_graph_is_configured_method_status
configured(bt_self_component_sink *self)
{
	struct sink *sink = bt_self_component_get_data(
		bt_self_component_sink_as_self_component(self));

	for (unsigned i = 0; i < sink->streams; i++)
		if (bt_message_iterator_create_from_sink_component(self,
			bt_self_component_sink_borrow_input_port_by_index(self,
									  i),
			&sink->stream[i].it))
			return BT_COMPONENT_CLASS_SINK_GRAPH_IS_CONFIGURED_METHOD_STATUS_ERROR;
	return BT_COMPONENT_CLASS_SINK_GRAPH_IS_CONFIGURED_METHOD_STATUS_OK;
}

/* All of the graph's work at once. */
static bt_component_class_sink_consume_method_status
consume(bt_self_component_sink *self)
{
	struct sink *sink = bt_self_component_get_data(
		bt_self_component_sink_as_self_component(self));
	struct merge_stream *merge = memory_zeroed(sink->streams,
						   sizeof(*merge));

	for (unsigned i = 0; i < sink->streams; i++) {
		struct stream *s = &sink->stream[i];

		s->cpu_id = i;
		s->pairing.last = next_record(s); /* now its CPU is known */
		s->primed = true;
		merge[i] = (struct merge_stream){ next_record, s,
			capture_cpu(sink->c, s->cpu_id), NULL };
	}
	merge_run(merge, sink->streams, sink->fn, sink->ctx);
	free(merge);
	return BT_COMPONENT_CLASS_SINK_CONSUME_METHOD_STATUS_END;
}

static void finalize(bt_self_component_sink *self)
{
	struct sink *sink = bt_self_component_get_data(
		bt_self_component_sink_as_self_component(self));

	for (unsigned i = 0; i < sink->streams; i++) {
		release_messages(&sink->stream[i]);
		if (sink->stream[i].it)
			bt_message_iterator_put_ref(sink->stream[i].it);
	}
}

/* --- the graph ------------------------------------------------------------ */

/* The source.ctf.fs of a folder, or NULL and an error of the thread. */
static const bt_component_source *add_source(bt_graph *graph,
					     const char *folder)
{
	const bt_plugin *plugin = NULL;
	const bt_component_source *source = NULL;
	bt_value *params = bt_value_map_create(), *inputs = NULL;

	if (bt_plugin_find("ctf", BT_TRUE, BT_TRUE, BT_TRUE, BT_FALSE, BT_TRUE,
			   &plugin) ||
	    bt_value_map_insert_empty_array_entry(params, "inputs", &inputs) ||
	    bt_value_array_append_string_element(inputs, folder) ||
	    bt_graph_add_source_component(graph,
		bt_plugin_borrow_source_component_class_by_name_const(plugin,
								      "fs"),
		folder, params, BT_LOGGING_LEVEL_NONE, &source))
		source = NULL;
	bt_value_put_ref(params);
	bt_plugin_put_ref(plugin);
	return source;
}

/* A graph that has refused a source cannot be used: try in one of its own. */
static bool readable(const char *folder)
{
	bt_graph *graph = memory_checked(bt_graph_create(0));
	const bool ok = add_source(graph, folder) != NULL;

	bt_graph_put_ref(graph);
	return ok;
}

static uint64_t ports(const bt_component_source *s)
{
	return s ? bt_component_source_get_output_port_count(s) : 0;
}

static const bt_component_sink *add_sink(struct sink *sink, bt_graph *graph)
{
	const bt_component_sink *component = NULL;
	bt_component_class_sink *class =
		bt_component_class_sink_create("luvtrace", consume);

	if (bt_component_class_sink_set_initialize_method(class, initialize) ||
	    bt_component_class_sink_set_graph_is_configured_method(class,
								   configured) ||
	    bt_component_class_sink_set_finalize_method(class, finalize) ||
	    bt_graph_add_sink_component_with_initialize_method_data(graph,
		class, "sink", NULL, sink, BT_LOGGING_LEVEL_NONE, &component))
		component = NULL;
	bt_component_class_sink_put_ref(class);
	return component;
}

static bool connect_all(struct sink *sink, bt_graph *graph,
			const bt_component_source *const *source, unsigned n)
{
	const bt_component_sink *to = add_sink(sink, graph);
	uint64_t port = 0;

	for (unsigned i = 0; to && i < n; i++)
		for (uint64_t j = 0; j < ports(source[i]); j++)
			if (bt_graph_connect_ports(graph,
			    bt_component_source_borrow_output_port_by_index_const(
				    source[i], j),
			    bt_component_sink_borrow_input_port_by_index_const(
				    to, port++), NULL))
				return false;
	return to != NULL;
}

static void run_graph(struct sink *sink, char *const *folder, unsigned n)
{
	bt_graph *graph = memory_checked(bt_graph_create(0));
	const bt_component_source **source = memory_zeroed(n, sizeof(*source));

	for (unsigned i = 0; i < n; i++) {
		source[i] = add_source(graph, folder[i]);
		sink->streams += (unsigned)ports(source[i]);
	}
	sink->stream = memory_zeroed(sink->streams, sizeof(*sink->stream));
	for (unsigned i = 0; i < sink->streams; i++)
		sink->stream[i].sink = sink;
	if (sink->streams && (!connect_all(sink, graph, source, n) ||
			      bt_graph_run(graph)))
		bt_problem(sink->c, sink->c->folder);
	bt_graph_put_ref(graph);
	free(sink->stream);
	free(source);
}

/* The traces that can be read, and of the others the files that can be. */
struct inputs {
	char **folder; /* [count] */
	unsigned count;
	struct bt_apart *apart; /* [c->traces] */
};

static void add_input(struct inputs *in, char *folder)
{
	in->folder = memory_grown(in->folder, in->count + 1, sizeof(char *));
	in->folder[in->count++] = folder;
}

static void add_files(struct capture *c, struct inputs *in, unsigned trace)
{
	struct bt_apart *a = &in->apart[trace];
	const unsigned before = in->count;

	bt_problem(c, c->trace[trace]);
	bt_apart_make(a, c->trace[trace]);
	for (unsigned i = 0; i < a->count; i++)
		if (readable(a->folder[i]))
			add_input(in, a->folder[i]);
		else
			bt_current_thread_clear_error();
	if (in->count > before)
		capture_problem(c, "%s: %u of its %u files can be read and are "
				"shown", c->trace[trace], in->count - before,
				a->count);
}

void bt_run(struct capture *c, merge_fn fn, void *ctx)
{
	struct sink sink = { .c = c, .fn = fn, .ctx = ctx,
			     .schema = bt_schema_new(c) };
	struct inputs in = { .apart = memory_zeroed(c->traces,
						    sizeof(*in.apart)) };

	for (unsigned i = 0; i < c->traces; i++)
		if (readable(c->trace[i]))
			add_input(&in, c->trace[i]);
		else
			add_files(c, &in, i);
	run_graph(&sink, in.folder, in.count);
	for (unsigned i = 0; i < c->traces; i++)
		bt_apart_free(&in.apart[i]);
	bt_schema_free(sink.schema);
	free(in.apart);
	free(in.folder);
}
