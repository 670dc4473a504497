#include "daemon/io/trust.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define PATH_SHOWN 200

/* What tells one content of a file from another; of a folder, that of all its certificates: what is written over, or
 * stands behind a link, does not change the folder, and OpenSSL keeps what it has read. */
struct stamp {
	int error; /* what is there cannot be looked at: a negative errno */
	uint64_t print;
	unsigned certificates; /* in a folder, by hash */
};

enum outcome {
	LOADED,
	UNREADABLE, /* may pass by itself: no descriptor left, a fault of the disk, rights */
	UNUSABLE,   /* until it is changed */
};

struct trust {
	char *file; /* NULL: none */
	char *dir;  /* NULL: none; may be several, with colons between them */
	size_t n_folders;
	const char *file_setting; /* NULL: the system's, which may be missing */
	const char *dir_setting;
	char *description;
	struct stamp stamps[1 + LIMIT_CA_FOLDERS]; /* of what the store was made from */
	bool file_read;				   /* the store has the file's certificates */
	bool folders_found;			   /* and there were some in the folders */
	X509_STORE *store;
	struct stamp refused[1 + LIMIT_CA_FOLDERS]; /* of what could not be used, */
	enum outcome refusal;			    /* and why; LOADED: nothing is amiss */
	unsigned loads;
};

/* --- what has changed --- */

/* FNV's way of mixing: nobody gains by two contents that look the same, who may write there. */
static uint64_t print_of(const char *name, const struct stat *st)
{
	uint64_t print = 0xcbf29ce484222325U;
	const uint64_t all[] = {(uint64_t)st->st_dev,	       (uint64_t)st->st_ino,
				(uint64_t)st->st_size,	       (uint64_t)st->st_mtim.tv_sec,
				(uint64_t)st->st_mtim.tv_nsec, (uint64_t)st->st_ctim.tv_sec,
				(uint64_t)st->st_ctim.tv_nsec};
	for (; *name; name++)
		print = (print ^ (unsigned char)*name) * 0x100000001b3U;
	for (size_t i = 0; i < array_len(all); i++)
		print = (print ^ all[i]) * 0x100000001b3U;
	return print;
}

static struct stamp stamp_file(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return (struct stamp){.error = -errno};
	return (struct stamp){.print = print_of("", &st)};
}

/* "3f2a90c1.0", as `openssl rehash` names it. */
static bool is_hashed(const char *name)
{
	return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] >= '0' && name[9] <= '9';
}

static struct stamp stamp_folder(const char *path)
{
	struct stamp stamp = {.error = 0};
	struct stat st;
	DIR *dir = opendir(path);
	if (!dir)
		return (struct stamp){.error = -errno};
	unsigned entries = 0;
	for (const struct dirent *e = readdir(dir); e && !stamp.error; e = readdir(dir)) {
		if (++entries > LIMIT_CA_FOLDER_ENTRIES)
			stamp.error = -EFBIG;
		/* A link that leads nowhere is no certificate. */
		if (!is_hashed(e->d_name) || fstatat(dirfd(dir), e->d_name, &st, 0) < 0)
			continue;
		stamp.certificates++;
		stamp.print += print_of(e->d_name, &st); /* in whatever order they come */
	}
	(void)closedir(dir); /* it was only read */
	return stamp;
}

static void take_stamps(const struct trust *t, struct stamp out[static 1 + LIMIT_CA_FOLDERS])
{
	memset(out, 0, (1 + LIMIT_CA_FOLDERS) * sizeof(out[0]));
	if (t->file)
		out[0] = stamp_file(t->file);
	const char *at = t->dir;
	for (size_t i = 1; i <= t->n_folders; i++) {
		cleanup(mem_free_p) char *one = mem_strndup(at, strcspn(at, ":"));
		out[i] = stamp_folder(one);
		at += strlen(one);
		at += *at == ':';
	}
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->error == b->error && a->print == b->print && a->certificates == b->certificates;
}

static bool same_stamps(const struct stamp *a, const struct stamp *b)
{
	for (size_t i = 0; i <= LIMIT_CA_FOLDERS; i++)
		if (!same_stamp(&a[i], &b[i]))
			return false;
	return true;
}

/* --- reading --- */

/* One folder of a list that has certificates is enough, and one that is not there is passed over. Returns 0, a negative
 * errno, or 1: there are none. */
static int check_folders(const struct trust *t, const struct stamp *stamps)
{
	int found = -ENOENT;
	for (size_t i = 1; i <= t->n_folders; i++) {
		if (stamps[i].certificates > 0 && !stamps[i].error)
			return 0;
		int r = stamps[i].error ? stamps[i].error : 1;
		if (found == -ENOENT || (found > 0 && r < 0 && r != -ENOENT))
			found = r;
	}
	return found;
}

/* What is wrong with folders, by what check_folders returned. */
static enum outcome refuse_folders(const struct trust *t, int error, char *ret_error, size_t error_size)
{
	char what[PATH_SHOWN + 100];
	snprintf(what, sizeof(what), "%s%s%.*s", t->dir_setting ? t->dir_setting : "the system has its certificates in",
		 !t->dir_setting    ? " "
		 : t->n_folders > 1 ? " names the folders "
				    : " names the folder ",
		 PATH_SHOWN, t->dir);
	if (error == -EFBIG)
		snprintf(ret_error, error_size,
			 "%s, in which there are more than %d files: name one that has certificates only, or a file",
			 what, LIMIT_CA_FOLDER_ENTRIES);
	else if (error < 0)
		snprintf(ret_error, error_size, "%s, which cannot be read: %s", what, strerror(-error));
	else
		snprintf(ret_error, error_size,
			 "%s, in which no certificate is found by its hash: run 'openssl rehash' on it, or name a file",
			 what);
	return error < 0 && error != -EFBIG ? UNREADABLE : UNUSABLE;
}

static enum outcome add_folders(const struct trust *t, X509_STORE *store, const struct stamp *stamps, bool *ret_found,
				char *ret_error, size_t error_size)
{
	int r = check_folders(t, stamps);
	*ret_found = r == 0;
	/* The system's need not be there; but they do not go away unseen. */
	if (r && (t->dir_setting || t->folders_found))
		return refuse_folders(t, r, ret_error, error_size);
	require(X509_STORE_load_path(store, t->dir) == 1); /* opens nothing yet */
	return LOADED;
}

/* Returns how many certificates were added; -1: what is there is broken, and part of it may have been added. */
static int add_certificates(X509_STORE *store, const char *bytes, size_t len)
{
	BIO *bio = BIO_new_mem_buf(bytes, (int)len);
	require(bio);
	STACK_OF(X509_INFO) *items = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
	BIO_free(bio);
	int added = items ? 0 : -1;
	for (int i = 0; i < sk_X509_INFO_num(items) && added >= 0; i++) {
		X509_INFO *item = sk_X509_INFO_value(items, i);
		if (!item->x509)
			continue;
		added = X509_STORE_add_cert(store, item->x509) == 1 ? added + 1 : -1;
	}
	sk_X509_INFO_pop_free(items, X509_INFO_free);
	ERR_clear_error();
	return added;
}

/* What is wrong with a file that could not be read. */
static enum outcome refuse_file(const struct trust *t, int error, char *ret_error, size_t error_size)
{
	const char *setting = t->file_setting ? t->file_setting : "the system";
	if (error == -EFBIG || error == -EINVAL) {
		snprintf(ret_error, error_size, "%s names %.*s, which is %s", setting, PATH_SHOWN, t->file,
			 error == -EFBIG ? "larger than 16 MiB" : "neither a file nor a folder");
		return UNUSABLE;
	}
	snprintf(ret_error, error_size, "%s names %.*s, which cannot be read: %s%s", setting, PATH_SHOWN, t->file,
		 strerror(-error), t->file_setting ? "" : "; mend that, or name another one in AWS_CA_BUNDLE");
	return UNREADABLE;
}

static enum outcome add_file(const struct trust *t, X509_STORE *store, bool *ret_read, char *ret_error,
			     size_t error_size)
{
	cleanup(mem_free_p) char *bytes = NULL;
	size_t len = 0;
	int r = file_read(t->file, LIMIT_CA_BUNDLE_BYTES, &bytes, &len);
	*ret_read = r == 0;
	/* The system's need not be there. But once it was, nobody would be trusted without it. */
	if (r == -ENOENT && !t->file_setting && !t->file_read)
		return LOADED;
	if (r < 0)
		return refuse_file(t, r, ret_error, error_size);
	if (add_certificates(store, bytes, len) > 0)
		return LOADED;
	snprintf(ret_error, error_size,
		 "%s names %.*s, which has no certificates, or broken ones: it must have certificates in PEM "
		 "(-----BEGIN CERTIFICATE-----)",
		 t->file_setting ? t->file_setting : "the system", PATH_SHOWN, t->file);
	return UNUSABLE;
}

/* The stamps were taken before, so that what changes meanwhile is seen by the next look. */
static enum outcome load(struct trust *t, const struct stamp *stamps, char *ret_error, size_t error_size)
{
	bool file_read = false, folders_found = false;
	X509_STORE *store = X509_STORE_new();
	require(store); /* fails for want of memory only */
	/* As libcurl has it: what is in the bundle is trusted, whether it signed itself or not. */
	X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	enum outcome r = t->file ? add_file(t, store, &file_read, ret_error, error_size) : LOADED;
	if (r == LOADED && t->dir)
		r = add_folders(t, store, stamps, &folders_found, ret_error, error_size);
	if (r != LOADED) {
		X509_STORE_free(store);
		return r;
	}
	X509_STORE_free(t->store);
	t->store = store;
	t->file_read = file_read;
	t->folders_found = folders_found;
	t->loads++;
	return LOADED;
}

/* --- where from --- */

static const char *is_set(credentials_lookup env, void *env_ctx, const char *name)
{
	const char *value = env(env_ctx, name);
	return value && *value ? value : NULL;
}

static void take_bundle(struct trust *t, const char *setting, const char *path)
{
	struct stat st;
	bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	*(folder ? &t->dir : &t->file) = mem_strdup(path);
	*(folder ? &t->dir_setting : &t->file_setting) = setting;
	t->description = mem_printf("%s (%.*s)", setting, PATH_SHOWN, path);
}

static void take_openssl(struct trust *t, const char *file, const char *dir)
{
	t->file_setting = file ? "SSL_CERT_FILE" : NULL;
	t->dir_setting = dir ? "SSL_CERT_DIR" : NULL;
	t->file = mem_strdup(file ? file : X509_get_default_cert_file());
	t->dir = mem_strdup(dir ? dir : X509_get_default_cert_dir());
	t->description =
	    mem_printf("%s%s%s", file ? t->file_setting : "", file && dir ? " and " : "", dir ? t->dir_setting : "");
}

static void take_system(struct trust *t)
{
	const char *file = curl_version_info(CURLVERSION_NOW)->cainfo;
	t->file = mem_strdup(file);
	/* The folder has the same certificates as the file, and is slower. */
	t->dir = file ? NULL : mem_strdup(X509_get_default_cert_dir());
	t->description = mem_printf("the system's certificates (%s)", file ? t->file : t->dir);
}

static int count_folders(struct trust *t, char *ret_error, size_t error_size)
{
	t->n_folders = t->dir ? 1 : 0;
	for (const char *at = t->dir; at && (at = strchr(at, ':')); at++)
		t->n_folders++;
	if (t->n_folders <= LIMIT_CA_FOLDERS)
		return 0;
	snprintf(ret_error, error_size, "%s names more than %d folders: name fewer, or a file",
		 t->dir_setting ? t->dir_setting : "OpenSSL's default", LIMIT_CA_FOLDERS);
	return 1;
}

int trust_new(credentials_lookup env, void *env_ctx, const char *profile_bundle, struct trust **ret, char *ret_error,
	      size_t error_size)
{
	struct trust *t = mem_alloc(sizeof(*t));
	const char *own = is_set(env, env_ctx, "AWS_CA_BUNDLE");
	const char *requests = is_set(env, env_ctx, "REQUESTS_CA_BUNDLE");
	const char *file = is_set(env, env_ctx, "SSL_CERT_FILE"), *dir = is_set(env, env_ctx, "SSL_CERT_DIR");
	if (own)
		take_bundle(t, "AWS_CA_BUNDLE", own);
	else if (profile_bundle)
		take_bundle(t, "the profile's ca_bundle", profile_bundle);
	else if (requests)
		take_bundle(t, "REQUESTS_CA_BUNDLE", requests);
	else if (file || dir)
		take_openssl(t, file, dir);
	else
		take_system(t);
	int r = count_folders(t, ret_error, error_size);
	if (r == 0) {
		take_stamps(t, t->stamps);
		r = load(t, t->stamps, ret_error, error_size) != LOADED;
	}
	if (r) {
		trust_free(t);
		return 1;
	}
	*ret = t;
	return 0;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	X509_STORE_free(t->store);
	free(t->file);
	free(t->dir);
	free(t->description);
	free(t);
}

int trust_look(struct trust *t, char *ret_error, size_t error_size)
{
	struct stamp now[1 + LIMIT_CA_FOLDERS];
	take_stamps(t, now);
	if (same_stamps(now, t->stamps)) {
		t->refusal = LOADED;
		return 0;
	}
	enum outcome before = same_stamps(now, t->refused) ? t->refusal : LOADED;
	if (before == UNUSABLE)
		return 0;
	t->refusal = load(t, now, ret_error, error_size);
	memcpy(t->refusal == LOADED ? t->stamps : t->refused, now, sizeof(now));
	if (t->refusal == LOADED)
		return 1;
	return t->refusal == before ? 0 : -1;
}

X509_STORE *trust_store(const struct trust *t)
{
	return t->store;
}

bool trust_is_empty(const struct trust *t)
{
	return !t->file_read && !t->folders_found;
}

const char *trust_describe(const struct trust *t)
{
	return t->description;
}

unsigned trust_loads(const struct trust *t)
{
	return t->loads;
}
