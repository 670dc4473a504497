#include "event.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/probe_event.h"

static char *folder_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (!slash)
		return mem_strdup(".");
	return slash == file ? mem_strdup("/") : mem_strndup(file, (size_t)(slash - file));
}

/* As the daemon has it: links must not lead out of the folder. An absolute path is in the daemon's own, which may be
 * another one. */
static bool leads_out(const char *folder, const char *payload, const char *path)
{
	cleanup(mem_free_p) char *dir = realpath(folder, NULL);
	cleanup(mem_free_p) char *real = realpath(path, NULL);
	size_t len = dir ? strlen(dir) : 0;

	if (payload[0] == '/' || !dir || !real)
		return false;
	if (len == 1)
		return false; /* the root has everything */
	return strncmp(real, dir, len) != 0 || real[len] != '/';
}

static void tell_unread(const struct spec_probe *probe, const char *path, int problem, struct diags *diags)
{
	switch (problem) {
	case -ENOENT:
	case -ENOTDIR:
		diags_add(
		    diags, DIAG_WARNING, probe->line, probe->column,
		    "%.300s does not exist; rolloutd looks for it in its plans folder, and sends no probe before it "
		    "is there: write it, or correct the path",
		    path);
		break;
	case -EFBIG:
		diags_add(diags, DIAG_ERROR, probe->line, probe->column,
			  "%.300s is too large: a probe's event has at most %d bytes", path, LIMIT_PROBE_BYTES);
		break;
	case -EINVAL:
		diags_add(diags, DIAG_ERROR, probe->line, probe->column,
			  "%.300s is not a regular file: expected a JSON file", path);
		break;
	default:
		diags_add(diags, DIAG_WARNING, probe->line, probe->column, "%.300s cannot be read here: %s", path,
			  strerror(-problem));
	}
}

static void check_probe(const struct spec_probe *probe, const char *folder, struct diags *diags)
{
	cleanup(mem_free_p) char *file = file_resolve(folder, probe->payload);
	const char *path = text_starts_with(file, "./") ? file + 2 : file;
	cleanup(mem_free_p) char *text = NULL;
	char problem[LIMIT_REASON];
	struct stat st;
	size_t len;

	if (leads_out(folder, probe->payload, path)) {
		diags_add(
		    diags, DIAG_ERROR, probe->line, probe->column,
		    "%.300s is not beneath the plan's folder, links resolved, and rolloutd sends nothing else: put it "
		    "there",
		    path);
		return;
	}
	int rc = file_read(path, LIMIT_PROBE_BYTES, &text, &len);
	if (rc != 0) {
		tell_unread(probe, path, rc, diags);
		return;
	}
	probe_event_check(text, len, path, problem, sizeof(problem));
	if (problem[0])
		diags_add(diags, DIAG_ERROR, probe->line, probe->column, "%s, so AWS would not take it as an event",
			  problem);
	else if (stat(path, &st) == 0 && (st.st_mode & S_IWOTH))
		diags_add(
		    diags, DIAG_ERROR, probe->line, probe->column,
		    "%.300s can be written by everybody (mode %04o), and rolloutd sends no such file: chmod o-w it",
		    path, (unsigned)st.st_mode & 07777u);
}

void event_check(const struct plan *p, const char *file, struct diags *diags)
{
	cleanup(mem_free_p) char *folder = folder_of(file);

	if (p->kind == PLAN_ROLLOUT && p->spec.probe.payload)
		check_probe(&p->spec.probe, folder, diags);
	for (size_t i = 0; p->kind == PLAN_SERVICE && i < p->service.n_aliases; i++)
		if (p->hows[i].spec.probe.payload)
			check_probe(&p->hows[i].spec.probe, folder, diags);
	diags_sort(diags);
}
