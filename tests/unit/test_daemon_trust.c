/*
 * Whose certificates are believed, when files and folders come, go and fail: the daemon must never be left with nobody
 * to trust because something could not be read for a moment. The system's file is the test's own.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/file.h"

static char root[] = "/tmp/trust-XXXXXX";
static char system_file[64];
static int read_fails, folder_fails; /* an errno; 0: they do not */
static unsigned reads;

static curl_version_info_data *version_info(CURLversion age)
{
	static curl_version_info_data data;
	(void)age;
	data.cainfo = system_file;
	return &data;
}

static int read_file(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	reads++;
	return read_fails ? -read_fails : file_read(path, max, ret_data, ret_len);
}

#include <dirent.h>
#include <errno.h>

static DIR *open_folder(const char *path)
{
	errno = folder_fails;
	return folder_fails ? NULL : opendir(path);
}

static const char *default_file(void)
{
	return system_file;
}

#define curl_version_info	   version_info
#define file_read		   read_file
#define opendir			   open_folder
#define X509_get_default_cert_file default_file
#include "daemon/io/trust.c"
#undef curl_version_info
#undef file_read
#undef opendir
#undef X509_get_default_cert_file

/* --- authorities --- */

static X509 *one, *two;

static X509 *make_authority(const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *made = X509_new();
	X509_NAME *subject = X509_NAME_new();
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_version(made, X509_VERSION_3);
	X509_set_subject_name(made, subject);
	X509_set_issuer_name(made, subject);
	X509_set_pubkey(made, key);
	X509_gmtime_adj(X509_getm_notBefore(made), -60);
	X509_gmtime_adj(X509_getm_notAfter(made), 3600);
	assert_true(X509_sign(made, key, EVP_sha256()) > 0);
	X509_NAME_free(subject);
	EVP_PKEY_free(key);
	return made;
}

static void write_text(const char *path, const char *text)
{
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0644), 0);
}

/* In place: the folder that it is in does not change. */
static void write_certificate(const char *path, X509 *certificate)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, certificate), 1);
	assert_int_equal(fclose(f), 0);
}

static const char *in_root(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

/* As `openssl rehash` names it. */
static const char *hashed(const char *folder, X509 *certificate)
{
	char name[64];
	snprintf(name, sizeof(name), "%s/%08lx.0", folder,
		 X509_NAME_hash_ex(X509_get_subject_name(certificate), NULL, NULL, NULL));
	return in_root(name);
}

static bool trusts(const struct trust *t, X509 *certificate)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	assert_int_equal(X509_STORE_CTX_init(ctx, trust_store(t), certificate, NULL), 1);
	bool good = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	return good;
}

/* --- the environment --- */

static const char *settings[8]; /* name, value, name, value, …; NULL at the end */
static char error[1024];

static const char *look_up(void *ctx, const char *name)
{
	(void)ctx;
	for (size_t i = 0; settings[i]; i += 2)
		if (strcmp(settings[i], name) == 0)
			return settings[i + 1];
	return NULL;
}

static struct trust *start(const char *name, const char *value)
{
	struct trust *t = NULL;
	settings[0] = name;
	settings[1] = value;
	if (trust_new(look_up, NULL, NULL, &t, error, sizeof(error)))
		return NULL;
	return t;
}

static int look(struct trust *t)
{
	error[0] = '\0';
	return trust_look(t, error, sizeof(error));
}

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(system_file, sizeof(system_file), "%s/system.pem", root);
	one = make_authority("one");
	two = make_authority("two");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	return at->level > 0 ? remove(path) : 0;
}

static int clean(void **state)
{
	(void)state;
	read_fails = folder_fails = 0;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int tear_down(void **state)
{
	clean(state);
	X509_free(one);
	X509_free(two);
	return rmdir(root);
}

/* --- what cannot be read --- */

static void test_the_system_s_file_cannot_be_read_for_a_moment(void **state)
{
	static const int faults[] = {EMFILE, ENFILE, EIO, ENOMEM, EACCES, ENOENT, EFBIG};
	(void)state;
	for (size_t i = 0; i < array_len(faults); i++) {
		write_certificate(system_file, one);
		struct trust *t = start(NULL, NULL);
		assert_non_null(t);
		assert_false(trust_is_empty(t));
		unlink(system_file);
		write_certificate(system_file, two);
		read_fails = faults[i];
		assert_int_equal(look(t), -1);
		assert_non_null(strstr(error, system_file));
		assert_true(trusts(t, one));  /* as it was */
		assert_int_equal(look(t), 0); /* told once */
		assert_true(trusts(t, one));
		read_fails = 0;
		/* What may have passed is found out without the file changing again. */
		assert_int_equal(look(t), faults[i] == EFBIG ? 0 : 1);
		assert_int_equal(trusts(t, two), faults[i] != EFBIG);
		assert_int_equal(look(t), 0);
		trust_free(t);
	}
}

static void test_a_bundle_cannot_be_read_for_a_moment(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof(path), "%s/own.pem", root);
	write_certificate(path, one);
	struct trust *t = start("AWS_CA_BUNDLE", path);
	write_text(path, "broken");
	assert_int_equal(look(t), -1);
	assert_non_null(strstr(error, "BEGIN CERTIFICATE"));
	reads = 0;
	assert_int_equal(look(t), 0);
	assert_int_equal(reads, 0); /* what is broken is not read again and again */
	write_certificate(path, two);
	read_fails = EMFILE;
	assert_int_equal(look(t), -1);
	assert_int_equal(look(t), 0);
	assert_true(trusts(t, one));
	read_fails = 0;
	assert_int_equal(look(t), 1);
	assert_true(trusts(t, two));
	assert_false(trusts(t, one));
	trust_free(t);
}

/* It vanishes, is emptied, comes back. */
static void test_the_system_s_file_goes(void **state)
{
	(void)state;
	write_certificate(system_file, one);
	struct trust *t = start(NULL, NULL);
	unlink(system_file);
	assert_int_equal(look(t), -1);
	assert_true(trusts(t, one));
	write_text(system_file, "");
	assert_int_equal(look(t), -1);
	assert_true(trusts(t, one));
	unlink(system_file);
	assert_int_equal(look(t), -1); /* another change */
	write_certificate(system_file, two);
	assert_int_equal(look(t), 1);
	assert_true(trusts(t, two));
	trust_free(t);
}

/* An image without certificates starts; whatever else is wrong with them does not. */
static void test_the_system_has_no_file(void **state)
{
	(void)state;
	struct trust *t = start(NULL, NULL);
	assert_non_null(t);
	assert_true(trust_is_empty(t));
	assert_int_equal(look(t), 0);
	write_certificate(system_file, one);
	assert_int_equal(look(t), 1);
	assert_false(trust_is_empty(t));
	assert_true(trusts(t, one));
	trust_free(t);
	read_fails = EACCES;
	assert_null(start(NULL, NULL));
	assert_non_null(strstr(error, "AWS_CA_BUNDLE"));
	assert_non_null(strstr(error, "Permission denied"));
}

/* Beside SSL_CERT_DIR stands OpenSSL's file, which nobody has named. */
static void test_the_file_beside_a_folder(void **state)
{
	char folder[128];
	(void)state;
	snprintf(folder, sizeof(folder), "%s/folder", root);
	mkdir(folder, 0755);
	write_certificate(hashed("folder", two), two);
	write_certificate(system_file, one);
	struct trust *t = start("SSL_CERT_DIR", folder);
	assert_true(trusts(t, one));
	assert_true(trusts(t, two));
	unlink(system_file);
	assert_int_equal(look(t), -1);
	assert_true(trusts(t, one));
	trust_free(t);
	/* And where it never was, nothing is amiss. */
	t = start("SSL_CERT_DIR", folder);
	assert_non_null(t);
	write_certificate(hashed("folder", one), one);
	assert_int_equal(look(t), 1);
	assert_true(trusts(t, one));
	assert_true(trusts(t, two));
	trust_free(t);
}

static void test_a_folder_goes(void **state)
{
	char folder[128], folders[300];
	(void)state;
	snprintf(folder, sizeof(folder), "%s/folder", root);
	snprintf(folders, sizeof(folders), "%s/none:%s", root, folder);
	for (int several = 0; several < 2; several++) {
		mkdir(folder, 0755);
		write_certificate(hashed("folder", two), two);
		struct trust *t = start("SSL_CERT_DIR", several ? folders : folder);
		assert_non_null(t);
		assert_true(trusts(t, two));
		write_certificate(in_root("folder/00000000.0"), one);
		folder_fails = EMFILE;
		assert_int_equal(look(t), -1);
		assert_int_equal(look(t), 0);
		folder_fails = 0;
		assert_int_equal(look(t), 1);
		assert_true(trusts(t, two));
		unlink(hashed("folder", two));
		unlink(in_root("folder/00000000.0"));
		assert_int_equal(look(t), -1);
		assert_non_null(strstr(error, "openssl rehash"));
		assert_true(trusts(t, two));
		trust_free(t);
		assert_null(start("SSL_CERT_DIR", several ? folders : folder));
	}
}

/* OpenSSL keeps what it has read of a folder; what takes its place need not change the folder. */
static void test_what_changes_in_a_folder(void **state)
{
	char folder[128], name[128], elsewhere[128];
	(void)state;
	snprintf(folder, sizeof(folder), "%s/folder", root);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere.pem", root);
	mkdir(folder, 0755);
	snprintf(name, sizeof(name), "%s", hashed("folder", one));
	write_certificate(name, one);
	struct trust *t = start("AWS_CA_BUNDLE", folder);
	assert_true(trusts(t, one));
	assert_int_equal(look(t), 0);
	write_certificate(name, two); /* in its place: withdrawn */
	assert_int_equal(look(t), 1);
	assert_false(trusts(t, one));

	unlink(name);
	write_certificate(elsewhere, one);
	assert_int_equal(symlink(elsewhere, name), 0);
	assert_int_equal(look(t), 1);
	assert_true(trusts(t, one));
	assert_int_equal(look(t), 0);
	write_certificate(elsewhere, two); /* behind the link */
	assert_int_equal(look(t), 1);
	assert_false(trusts(t, one));
	assert_int_equal(look(t), 0);
	assert_int_equal(trust_loads(t), 4);
	unlink(elsewhere); /* a link that leads nowhere is no certificate */
	assert_int_equal(look(t), -1);
	trust_free(t);
}

static void test_limits_of_folders(void **state)
{
	char folder[128], list[2048] = "";
	(void)state;
	snprintf(folder, sizeof(folder), "%s/folder", root);
	mkdir(folder, 0755);
	write_certificate(hashed("folder", one), one);
	for (int i = 0; i < LIMIT_CA_FOLDERS; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ":" : "", folder);
	struct trust *t = start("SSL_CERT_DIR", list);
	assert_non_null(t);
	write_certificate(hashed("folder", two), two);
	assert_int_equal(look(t), 1);
	trust_free(t);
	snprintf(list + strlen(list), sizeof(list) - strlen(list), ":/nonexistent");
	assert_null(start("SSL_CERT_DIR", list));
	assert_string_equal(error, "SSL_CERT_DIR names more than 8 folders: name fewer, or a file");

	for (int i = 0; i < LIMIT_CA_FOLDER_ENTRIES - 4; i++) { /* besides "." and ".." */
		char name[64];
		snprintf(name, sizeof(name), "folder/%d", i);
		assert_int_equal(fclose(fopen(in_root(name), "w")), 0);
	}
	t = start("SSL_CERT_DIR", folder);
	assert_non_null(t);
	assert_int_equal(fclose(fopen(in_root("folder/more"), "w")), 0);
	assert_int_equal(look(t), -1);
	assert_non_null(strstr(error, "more than 4096 files"));
	assert_int_equal(look(t), 0);
	assert_true(trusts(t, one));
	trust_free(t);
}

#define cleaned(test) cmocka_unit_test_teardown(test, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cleaned(test_the_system_s_file_cannot_be_read_for_a_moment),
	    cleaned(test_a_bundle_cannot_be_read_for_a_moment),
	    cleaned(test_the_system_s_file_goes),
	    cleaned(test_the_system_has_no_file),
	    cleaned(test_the_file_beside_a_folder),
	    cleaned(test_a_folder_goes),
	    cleaned(test_what_changes_in_a_folder),
	    cleaned(test_limits_of_folders),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
