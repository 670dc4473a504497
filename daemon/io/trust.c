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
#include "base/mem.h"
#include "base/text.h"

#define BUNDLE_MAX  (16 * 1024 * 1024)
#define FOLDERS_MAX 8 /* of SSL_CERT_DIR */
#define PATH_SHOWN  200

/* What tells one content of a file or a folder from another. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec modified;
	struct timespec changed;
};

struct trust {
	char *file;		  /* NULL: none */
	char *dir;		  /* NULL: none; may be several, with colons between them */
	const char *file_setting; /* NULL: the system's, which may be missing */
	const char *dir_setting;
	char *description;
	struct stamp stamps[1 + FOLDERS_MAX];
	X509_STORE *store;
	unsigned loads;
};

/* --- what has changed --- */

static struct stamp stamp_of(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return (struct stamp){.ino = 0};
	return (struct stamp){
	    .dev = st.st_dev, .ino = st.st_ino, .size = st.st_size, .modified = st.st_mtim, .changed = st.st_ctim};
}

static void take_stamps(const struct trust *t, struct stamp out[static 1 + FOLDERS_MAX])
{
	memset(out, 0, (1 + FOLDERS_MAX) * sizeof(out[0]));
	if (t->file)
		out[0] = stamp_of(t->file);
	const char *at = t->dir ? t->dir : "";
	for (size_t i = 1; *at && i <= FOLDERS_MAX; i++) {
		cleanup(mem_free_p) char *one = mem_strndup(at, strcspn(at, ":"));
		out[i] = stamp_of(one);
		at += strlen(one);
		at += *at == ':';
	}
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->modified.tv_sec == b->modified.tv_sec &&
	       a->modified.tv_nsec == b->modified.tv_nsec && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

/* --- reading --- */

/* "3f2a90c1.0", as `openssl rehash` names it. */
static bool is_hashed(const char *name)
{
	return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] >= '0' && name[9] <= '9';
}

/* Whether there is a certificate that OpenSSL would find. Returns 0 or a negative errno; 1: there is none. */
static int look_into_folder(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	int found = 1;
	for (const struct dirent *e = readdir(dir); e && found; e = readdir(dir))
		found = !is_hashed(e->d_name);
	(void)closedir(dir); /* it was only read */
	return found;
}

static int add_folders(const struct trust *t, X509_STORE *store, char *ret_error, size_t error_size)
{
	int r = t->dir_setting && !strchr(t->dir, ':') ? look_into_folder(t->dir) : 0;
	if (r < 0)
		snprintf(ret_error, error_size, "%s names the folder %.*s, which cannot be read: %s", t->dir_setting,
			 PATH_SHOWN, t->dir, strerror(-r));
	else if (r > 0)
		snprintf(ret_error, error_size,
			 "%s names the folder %.*s, in which no certificate is found by its hash: run 'openssl "
			 "rehash' on it, or name a file",
			 t->dir_setting, PATH_SHOWN, t->dir);
	if (r)
		return 1;
	require(X509_STORE_load_path(store, t->dir) == 1); /* opens nothing yet */
	return 0;
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

static int add_file(const struct trust *t, X509_STORE *store, char *ret_error, size_t error_size)
{
	cleanup(mem_free_p) char *bytes = NULL;
	size_t len = 0;
	int r = file_read(t->file, BUNDLE_MAX, &bytes, &len);
	if (r < 0 && !t->file_setting)
		return 0; /* the system's need not be there */
	const char *setting = t->file_setting ? t->file_setting : "the system";
	if (r == -EFBIG || r == -EINVAL)
		snprintf(ret_error, error_size, "%s names %.*s, which is %s", setting, PATH_SHOWN, t->file,
			 r == -EFBIG ? "larger than 16 MiB" : "neither a file nor a folder");
	else if (r < 0)
		snprintf(ret_error, error_size, "%s names %.*s, which cannot be read: %s", setting, PATH_SHOWN, t->file,
			 strerror(-r));
	else if (add_certificates(store, bytes, len) <= 0)
		snprintf(ret_error, error_size,
			 "%s names %.*s, which has no certificates, or broken ones: it must have certificates in PEM "
			 "(-----BEGIN CERTIFICATE-----)",
			 setting, PATH_SHOWN, t->file);
	else
		return 0;
	return 1;
}

static int load(struct trust *t, char *ret_error, size_t error_size)
{
	X509_STORE *store = X509_STORE_new();
	require(store); /* fails for want of memory only */
	/* As libcurl has it: what is in the bundle is trusted, whether it signed itself or not. */
	X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	if ((t->file && add_file(t, store, ret_error, error_size)) ||
	    (t->dir && add_folders(t, store, ret_error, error_size))) {
		X509_STORE_free(store);
		return 1;
	}
	X509_STORE_free(t->store);
	t->store = store;
	t->loads++;
	return 0;
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
	take_stamps(t, t->stamps);
	if (load(t, ret_error, error_size)) {
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
	struct stamp now[1 + FOLDERS_MAX];
	bool same = true;
	take_stamps(t, now);
	for (size_t i = 0; i < array_len(now); i++)
		same = same && same_stamp(&now[i], &t->stamps[i]);
	if (same)
		return 0;
	memcpy(t->stamps, now, sizeof(now));
	return load(t, ret_error, error_size) ? -1 : 1;
}

X509_STORE *trust_store(const struct trust *t)
{
	return t->store;
}

const char *trust_describe(const struct trust *t)
{
	return t->description;
}

unsigned trust_loads(const struct trust *t)
{
	return t->loads;
}
