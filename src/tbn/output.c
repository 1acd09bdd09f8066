#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "tbn/output.h"

/* One configuration's text, at most: what a monomer prints is bounded by the input. */
static const size_t TEXT_MAX = (size_t)2 * 1024 * 1024 * 1024;
enum { FLUSH_BYTES = 128 * 1024 };

void
json_add_escaped(struct strbuf *s, struct slice text)
{
	const char *p = text.p, *end = text.p + text.n;

	while (p < end) {
		uint32_t code = 0;
		size_t len = utf8_decode(p, end, &code);

		if (len == 0) {
			code = 0xfffd;
			len = 1;
		}
		p += len;
		if (code == '"' || code == '\\') {
			strbuf_addch(s, '\\');
			strbuf_addch(s, (char)code);
		} else if (code >= 0x20 && code < 0x7f) {
			strbuf_addch(s, (char)code);
		} else if (code >= 0x08 && code <= 0x0d && code != 0x0b) {
			strbuf_addch(s, '\\');
			strbuf_addch(s, "btn?fr"[code - 0x08]);
		} else if (code < 0x10000) {
			strbuf_addf(s, "\\u%04x", (unsigned)code);
		} else {
			code -= 0x10000;
			strbuf_addf(s, "\\u%04x\\u%04x", (unsigned)(0xd800 + (code >> 10)), (unsigned)(0xdc00 + (code & 0x3ff)));
		}
	}
}

void
json_add_string(struct strbuf *s, struct slice text)
{
	strbuf_addch(s, '"');
	json_add_escaped(s, text);
	strbuf_addch(s, '"');
}

/* Text for a terminal: control characters would be obeyed there. */
static void
text_add(struct strbuf *s, struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c < 0x20 || c == 0x7f)
			strbuf_addf(s, "\\x%02x", (unsigned)c);
		else
			strbuf_addch(s, (char)c);
	}
}

struct printer {
	int fd;
	enum output_form form;
	struct strbuf out;
	struct strbuf monomers;	/* what each monomer prints, one after the other */
	size_t *monomer_end;	/* by monomer, in monomers */
	uint32_t *leader;	/* by monomer: the earliest one of its polymer */
	uint32_t *next;	/* by monomer: the next one of its polymer, 0: none */
	uint32_t *last;	/* by earliest monomer: the last one of its polymer so far */
	uint32_t *scratch;
	int64_t printed;
};

static void
printer_done(struct printer *p)
{
	strbuf_done(&p->out);
	strbuf_done(&p->monomers);
	free(p->monomer_end);
	free(p->leader);
	free(p->next);
	free(p->last);
	free(p->scratch);
}

static void
add_site(struct printer *p, const struct network *net, const struct site *site)
{
	struct strbuf *s = &p->monomers;
	void (*add)(struct strbuf *, struct slice) = p->form == OUTPUT_TEXT ? text_add : json_add_escaped;

	if (p->form != OUTPUT_TEXT)
		strbuf_addch(s, '"');
	add(s, net->types[site->type].text);
	if (site->star)
		strbuf_addch(s, '*');
	if (site->name.n > 0) {
		strbuf_addch(s, ':');
		add(s, site->name);
	}
	if (p->form != OUTPUT_TEXT)
		strbuf_addch(s, '"');
}

/* Every configuration prints the same monomers: their texts are made once. */
static void
add_monomer(struct printer *p, const struct network *net, const struct monomer *m)
{
	const char *between = p->form == OUTPUT_TEXT ? " " : p->form == OUTPUT_JSON ? ", " : ",";
	struct strbuf *s = &p->monomers;

	if (p->form != OUTPUT_TEXT)
		strbuf_addch(s, '[');
	for (uint32_t i = 0; i < m->count; i++) {
		if (i > 0)
			strbuf_addstr(s, between);
		add_site(p, net, &net->sites[m->first + i]);
	}
	if (m->name.n > 0) {
		strbuf_addstr(s, between);
		strbuf_addstr(s, p->form == OUTPUT_TEXT ? ">" : "\">");
		if (p->form == OUTPUT_TEXT) {
			text_add(s, m->name);
		} else {
			json_add_escaped(s, m->name);
			strbuf_addch(s, '"');
		}
	}
	if (p->form != OUTPUT_TEXT)
		strbuf_addch(s, ']');
}

static int
find_leaders(struct printer *p, struct search *s, size_t component)
{
	const struct component *comp = &s->net->components[component];
	int r = part_polymers(&s->parts[component], s->current[component], p->scratch);

	if (r < 0)
		return r;
	for (size_t i = 0; i < comp->nmonomers; i++)
		p->leader[comp->monomers[i]] = comp->monomers[p->scratch[i]];
	return 0;
}

static int
printer_init(struct printer *p, struct search *s)
{
	const struct network *net = s->net;
	size_t n = net->nmonomers;

	strbuf_init(&p->out, TEXT_MAX);
	strbuf_init(&p->monomers, TEXT_MAX);
	p->monomer_end = calloc(n, sizeof *p->monomer_end);
	p->leader = calloc(n, sizeof *p->leader);
	p->next = calloc(n, sizeof *p->next);
	p->last = calloc(n, sizeof *p->last);
	p->scratch = calloc(n, sizeof *p->scratch);
	if (!p->monomer_end || !p->leader || !p->next || !p->last || !p->scratch)
		return -ENOMEM;
	for (size_t m = 0; m < n; m++) {
		add_monomer(p, net, &net->monomers[m]);
		p->monomer_end[m] = p->monomers.len;
	}
	return strbuf_err(&p->monomers);
}

static int
flush(struct printer *p, bool all)
{
	int r = strbuf_err(&p->out);

	if (r < 0 || (!all && p->out.len < FLUSH_BYTES))
		return r;
	r = write_all(p->fd, p->out.buf, p->out.len);
	strbuf_reset(&p->out);
	return r;
}

/* Links each polymer's monomers in input order; returns the number of polymers. */
static int64_t
link_polymers(struct printer *p, size_t count)
{
	int64_t polymers = 0;

	for (uint32_t m = 0; m < count; m++) {
		uint32_t leader = p->leader[m];

		p->next[m] = 0;	/* monomer 0 begins a polymer and follows none */
		if (leader == m)
			polymers++;
		else
			p->next[p->last[leader]] = m;
		p->last[leader] = m;
	}
	return polymers;
}

static void
add_polymer(struct printer *p, uint32_t first, const char *between)
{
	uint32_t m = first;

	do {
		size_t from = m > 0 ? p->monomer_end[m - 1] : 0;

		if (m != first)
			strbuf_addstr(&p->out, between);
		strbuf_add(&p->out, p->monomers.buf + from, p->monomer_end[m] - from);
		m = p->next[m];
	} while (m != 0);
}

static void
add_json(struct printer *p, size_t monomers, int64_t polymers)
{
	bool compact = p->form == OUTPUT_COMPACT, first = true;

	if (p->printed > 0)
		strbuf_addch(&p->out, ',');
	strbuf_addstr(&p->out, compact ? "{\"polymers\":[" : "\n    {\"polymers\": [");
	for (uint32_t m = 0; m < monomers; m++) {
		if (p->leader[m] != m)
			continue;
		if (!first)
			strbuf_addstr(&p->out, compact ? "," : ", ");
		first = false;
		strbuf_addch(&p->out, '[');
		add_polymer(p, m, compact ? "," : ", ");
		strbuf_addch(&p->out, ']');
	}
	strbuf_addf(&p->out, compact ? "],\"polymers_count\":%" PRId64 "}" : "], \"polymers_count\": %" PRId64 "}", polymers);
}

static void
add_text(struct printer *p, size_t monomers, int64_t polymers, int64_t entropy)
{
	int64_t number = 0;

	strbuf_addf(&p->out, "\nconfiguration %" PRId64 ": %" PRId64 " polymer%s%s\n", p->printed + 1, polymers, polymers == 1 ? "" : "s",
	    polymers == entropy ? ", stable" : "");
	for (uint32_t m = 0; m < monomers; m++) {
		if (p->leader[m] != m)
			continue;
		strbuf_addf(&p->out, "  %3" PRId64 "  {", ++number);
		add_polymer(p, m, "} {");
		strbuf_addstr(&p->out, "}\n");
	}
}

static int
print_configuration(struct search *s, void *data)
{
	struct printer *p = data;
	size_t count = s->net->nmonomers;
	int64_t polymers;

	for (size_t i = 0; i < s->nactive; i++) {
		int r = find_leaders(p, s, s->active[i]);

		if (r < 0)
			return r;
	}
	polymers = link_polymers(p, count);
	if (p->form == OUTPUT_TEXT)
		add_text(p, count, polymers, s->entropy);
	else
		add_json(p, count, polymers);
	p->printed++;
	return flush(p, false);
}

static void
add_tail(struct printer *p, const struct search *s, const char *status)
{
	bool compact = p->form == OUTPUT_COMPACT;

	if (compact)
		strbuf_addf(&p->out, "],\"count\":%" PRId64 ",\"entropy\":%" PRId64 ",\"status\":", s->found, s->entropy);
	else
		strbuf_addf(&p->out, "%s],\n  \"count\": %" PRId64 ",\n  \"entropy\": %" PRId64 ",\n  \"status\": ",
		    s->found > 0 ? "\n  " : "", s->found, s->entropy);
	json_add_string(&p->out, (struct slice){ status, strlen(status) });
	strbuf_addstr(&p->out, compact ? "}\n" : "\n}\n");
}

int
output_result(int fd, struct search *s, enum output_form form, const char *status, const char *note)
{
	scoped(printer_done) struct printer p = { .fd = fd, .form = form };
	int r = printer_init(&p, s);

	if (r < 0)
		return r;
	for (size_t i = 0; i < s->net->ncomponents && s->found > 0; i++)
		if (s->net->components[i].pairings == 1) {
			r = find_leaders(&p, s, i);
			if (r < 0)
				return r;
		}
	if (form == OUTPUT_TEXT)
		strbuf_addf(&p.out, "entropy %" PRId64 " (polymers of a stable configuration)\n", s->entropy);
	else
		strbuf_addstr(&p.out, form == OUTPUT_COMPACT ? "{\"configs\":[" : "{\n  \"configs\": [");
	r = search_each(s, print_configuration, &p);
	if (r < 0)
		return r;
	if (form != OUTPUT_TEXT)
		add_tail(&p, s, status);
	else
		strbuf_addf(&p.out, "\n%" PRId64 " configuration%s%s%s\n", s->found, s->found == 1 ? "" : "s", note ? ", " : "",
		    note ? note : "");
	return flush(&p, true);
}

int
output_message(int fd, const char *message, const char *status)
{
	scoped(strbuf_done) struct strbuf s = STRBUF_INIT(TEXT_MAX);
	int r;

	strbuf_addstr(&s, "{\"message\":");
	json_add_string(&s, (struct slice){ message, strlen(message) });
	strbuf_addstr(&s, ",\"status\":");
	json_add_string(&s, (struct slice){ status, strlen(status) });
	strbuf_addstr(&s, "}\n");
	r = strbuf_err(&s);
	return r < 0 ? r : write_all(fd, s.buf, s.len);
}
