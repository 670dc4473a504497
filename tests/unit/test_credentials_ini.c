/* The format of the AWS config and credentials files, shell words, and the two files seen as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "credentials/ini.h"
#include "credentials/profiles.h"
#include "credentials/words.h"

/* --- words --- */

static void expect_words(const char *line, const char *joined)
{
	char **words;
	struct buf out cleanup(buf_deinit) = BUF_INIT(256);
	assert_int_equal(words_split(line, &words), WORDS_OK);
	for (size_t i = 0; words[i]; i++)
		buf_addf(&out, "<%s>", words[i]);
	assert_string_equal(buf_text(&out), joined);
	words_free(words);
}

/* What Python's shlex.split() says of the same lines. */
static void words_as_a_shell_quotes_them(void **state)
{
	(void)state;
	expect_words("", "");
	expect_words(" \t\r\n", "");
	expect_words("/bin/keys --account 1", "</bin/keys><--account><1>");
	expect_words("a 'b c' \"d e\" f\\ g", "<a><b c><d e><f g>");
	expect_words("a'b'\"c\"d", "<abcd>");
	expect_words("'' \"\"", "<><>");
	expect_words("\"a\\\"b\\\\c\\d\"", "<a\"b\\c\\d>");
	expect_words("'a\\'b", "<a\\b>");
	expect_words("$HOME `id` ; | & > #x", "<$HOME><`id`><;><|><&><>><#x>");
	char **words;
	assert_int_equal(words_split("a 'b", &words), WORDS_OPEN_QUOTE);
	assert_int_equal(words_split("a \"b\\", &words), WORDS_OPEN_QUOTE);
	assert_int_equal(words_split("a\\", &words), WORDS_OPEN_BACKSLASH);
	char many[2 * (WORDS_MAX + 1) + 1];
	for (size_t i = 0; i < sizeof(many) - 1; i++)
		many[i] = i % 2 ? ' ' : 'x';
	many[sizeof(many) - 1] = '\0';
	assert_int_equal(words_split(many, &words), WORDS_TOO_MANY);
	many[2 * WORDS_MAX] = '\0';
	assert_int_equal(words_split(many, &words), WORDS_OK);
	words_free(words);
}

/* --- the format --- */

static struct ini *parse(const char *text)
{
	char error[256] = "";
	struct ini *ini = NULL;
	if (ini_parse(text, strlen(text), &ini, error, sizeof(error)))
		fail_msg("%s: %s", text, error);
	return ini;
}

define_cleanup(struct ini *, ini_free);

static void expect_entry(const struct ini *ini, const char *section, const char *group, const char *key,
			 const char *value)
{
	const char *found = ini_get(ini, section, group, key);
	if (value ? !found || strcmp(found, value) != 0 : found != NULL)
		fail_msg("[%s] %s.%s is %s, not %s", section, group ? group : "", key, found ? found : "absent",
			 value ? value : "absent");
}

static void sections_keys_and_comments(void **state)
{
	(void)state;
	struct ini *ini cleanup(ini_free_p) = parse("\xef\xbb\xbf# a comment\r\n"
						    "; another\n"
						    "[default] ; anything\r\n"
						    "Region\t:\teu-west-1  \r\n"
						    "  output = json # no comment\n"
						    "\n"
						    "[profile a b]\n"
						    "x=y=z\n"
						    "empty =\n"
						    "[c]d]\n"
						    "k = v");
	assert_int_equal(ini_n_sections(ini), 3);
	assert_string_equal(ini_section(ini, 1), "profile a b");
	/* Deeper than its key, so it goes on with that one's value. */
	expect_entry(ini, "default", NULL, "region", "eu-west-1\noutput = json # no comment");
	expect_entry(ini, "default", NULL, "output", NULL);
	expect_entry(ini, "profile a b", NULL, "x", "y=z");
	expect_entry(ini, "profile a b", NULL, "empty", "");
	expect_entry(ini, "c]d", NULL, "k", "v");
	expect_entry(ini, "profile a b", NULL, "k", NULL);
	expect_entry(ini, "nobody", NULL, "k", NULL);
	assert_true(ini_has(ini, "default"));
	assert_false(ini_has(ini, "Default"));
}

static void groups_of_keys(void **state)
{
	(void)state;
	struct ini *ini cleanup(ini_free_p) = parse("[services local]\n"
						    "Lambda =\n"
						    "  endpoint_url = http://127.0.0.1:1\n"
						    "\n"
						    "  # why\n"
						    "    Other=a = b\n"
						    "  other=c\n"
						    "  other=d\n"
						    "sts =\n"
						    "  endpoint_url = http://127.0.0.1:2\n"
						    "plain = p\n");
	expect_entry(ini, "services local", "lambda", "endpoint_url", "http://127.0.0.1:1");
	expect_entry(ini, "services local", "lambda", "Other", "a = b");
	expect_entry(ini, "services local", "lambda", "other", "d");
	expect_entry(ini, "services local", "sts", "endpoint_url", "http://127.0.0.1:2");
	expect_entry(ini, "services local", NULL, "lambda", NULL);
	expect_entry(ini, "services local", NULL, "endpoint_url", NULL);
	expect_entry(ini, "services local", "plain", "p", NULL);
	expect_entry(ini, "services local", NULL, "plain", "p");
}

static void the_defaults_hold_for_every_section(void **state)
{
	(void)state;
	struct ini *ini cleanup(ini_free_p) = parse("[DEFAULT]\nregion = a\ns3 =\n  x = 1\n[p]\nb = c\n"
						    "[DEFAULT]\nq = r\n[own]\nregion = o\ns3 =\n  y = 2\n");
	assert_int_equal(ini_n_sections(ini), 2);
	expect_entry(ini, "p", NULL, "region", "a");
	expect_entry(ini, "p", NULL, "q", "r");
	expect_entry(ini, "p", "s3", "x", "1");
	expect_entry(ini, "own", NULL, "region", "o");
	expect_entry(ini, "own", "s3", "x", NULL);
	expect_entry(ini, "own", "s3", "y", "2");
	expect_entry(ini, "absent", NULL, "region", NULL);
}

static void expect_broken(const char *text, size_t len, const char *needle)
{
	char error[256] = "";
	struct ini *ini = NULL;
	assert_int_equal(ini_parse(text, len, &ini, error, sizeof(error)), 1);
	if (!strstr(error, needle))
		fail_msg("%s: %s", text, error);
	assert_null(strstr(error, "SECRET"));
	assert_null(ini);
}

static void broken_files(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	    {"[p]\na = SECRET\na = SECRET\n", "line 3 gives a key that"},
	    {"[p]\na = b\n[q]\n[p]\n", "line 4 begins a section"},
	    {"[p]\nnonsense SECRET\n", "line 2 is neither"},
	    {"[p]\n= SECRET\n", "line 2 is neither"},
	    {"a = SECRET\n[p]\n", "line 1 comes before the first section"},
	    {"[p\n", "line 1 starts with '['"},
	    {"[]\n", "line 1 starts with '['"},
	    {"[p]\n\ngroup =\n  SECRET\n[q]\n", "line 3 begins a group"},
	    {"[p]\na = \xff\n", "UTF-8"},
	};
	for (size_t i = 0; i < array_len(cases); i++)
		expect_broken(cases[i][0], strlen(cases[i][0]), cases[i][1]);
	expect_broken("[p]\0", 4, "UTF-8");

	struct buf many cleanup(buf_deinit) = BUF_INIT(LIMIT_CREDENTIALS_FILE + 1);
	buf_add_text(&many, "[p]\n");
	for (int i = 0; i < 257; i++)
		buf_addf(&many, "k%d = v\n", i);
	expect_broken(buf_text(&many), many.len, "line 258 has one key more");
	while (many.len <= LIMIT_CREDENTIALS_FILE)
		buf_add_char(&many, '\n');
	expect_broken(buf_text(&many), many.len, "larger than 256 KiB");
}

/* Whatever a file is cut off at, it is read or refused with a sentence. */
static void every_cut_is_survived(void **state)
{
	(void)state;
	const char *whole = "\xef\xbb\xbf[default]\naws_access_key_id = A\n  more\n# c\n[services s]\nlambda =\n"
			    "  endpoint_url = u\n[p]\naws_access_key_id : B\n";
	for (size_t len = 0; len <= strlen(whole); len++) {
		char *cut = mem_alloc(len + 1), error[256] = "";
		struct ini *ini = NULL;
		memcpy(cut, whole, len);
		if (ini_parse(cut, len, &ini, error, sizeof(error)))
			assert_string_not_equal(error, "");
		ini_free(ini);
		free(cut);
	}
}

/* --- both files --- */

static struct profiles *both(const char *credentials, const char *config)
{
	char error[300] = "";
	struct profiles *p = NULL;
	const struct profiles_text files[] = {
	    [PROFILES_CREDENTIALS] = {"/h/credentials", credentials, credentials ? strlen(credentials) : 0,
				      "does not exist"},
	    [PROFILES_CONFIG] = {"/h/config", config, config ? strlen(config) : 0, "does not exist"},
	};
	if (profiles_parse(files, &p, error, sizeof(error)))
		fail_msg("%s", error);
	return p;
}

static void expect(const char *found, const char *wanted)
{
	if (wanted)
		assert_string_equal(found ? found : "(absent)", wanted);
	else
		assert_null(found);
}

static void the_two_files_as_one(void **state)
{
	(void)state;
	struct profiles *p cleanup(profiles_free_p) =
	    both("[prod]\naws_access_key_id = C\nempty =\n[default]\na = cred\n",
		 "[profile prod]\naws_access_key_id = F\nregion = r\nempty = no\nservices = local\n"
		 "[prod]\nregion = not a profile\n[default]\na = conf\nb = conf\n"
		 "[profile \"two words\"]\nregion = tw\n[profile two words]\nregion = no\n[profile x]\nr = 1\n"
		 "[profile 'x']\nregion = later\n[sso-session s]\nsso_region = sr\n[services local]\nlambda =\n"
		 "  endpoint_url = http://[::1]\n[profile open']\nregion = never\n");
	assert_true(profiles_has(p, "prod"));
	assert_true(profiles_has(p, "two words"));
	assert_false(profiles_has(p, "two"));
	assert_false(profiles_has(p, "s"));
	assert_false(profiles_has(p, "open'"));
	expect(profiles_get(p, "prod", "aws_access_key_id"), "C");
	expect(profiles_get_from(p, PROFILES_CONFIG, "prod", "aws_access_key_id"), "F");
	expect(profiles_get(p, "prod", "region"), "r");
	expect(profiles_get_from(p, PROFILES_CREDENTIALS, "prod", "region"), NULL);
	expect(profiles_get(p, "prod", "empty"), "no");
	expect(profiles_get(p, "default", "a"), "cred");
	expect(profiles_get(p, "default", "b"), "conf");
	expect(profiles_get(p, "two words", "region"), "tw");
	expect(profiles_get(p, "x", "region"), "later");
	expect(profiles_get(p, "x", "r"), NULL);
	assert_true(profiles_has_session(p, "s"));
	expect(profiles_get_session(p, "s", "sso_region"), "sr");
	expect(profiles_get_session(p, "t", "sso_region"), NULL);
	expect(profiles_get_service(p, "prod", "lambda", "endpoint_url"), "http://[::1]");
	expect(profiles_get_service(p, "prod", "sts", "endpoint_url"), NULL);
	expect(profiles_get_service(p, "x", "lambda", "endpoint_url"), NULL);
	expect(profiles_path_of(p, "prod", "aws_access_key_id"), "/h/credentials");
	expect(profiles_path_of(p, "prod", "region"), "/h/config");
	expect(profiles_absent(p, PROFILES_CONFIG), NULL);
}

static void files_that_are_not_there(void **state)
{
	(void)state;
	struct profiles *none cleanup(profiles_free_p) = both(NULL, NULL);
	assert_false(profiles_has(none, "default"));
	expect(profiles_get(none, "default", "region"), NULL);
	expect(profiles_absent(none, PROFILES_CREDENTIALS), "does not exist");
	struct profiles *one cleanup(profiles_free_p) = both("[default]\nregion = a\n", NULL);
	expect(profiles_get(one, "default", "region"), "a");

	struct profiles *broken = NULL;
	char error[300] = "";
	const struct profiles_text files[] = {{"/h/credentials", "[p]\n", 4, NULL}, {"/h/config", "x\n", 2, NULL}};
	assert_int_equal(profiles_parse(files, &broken, error, sizeof(error)), 1);
	assert_string_equal(error, "/h/config: line 1 comes before the first section: put it below a line like "
				   "[default]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_as_a_shell_quotes_them),
	    cmocka_unit_test(sections_keys_and_comments),
	    cmocka_unit_test(groups_of_keys),
	    cmocka_unit_test(the_defaults_hold_for_every_section),
	    cmocka_unit_test(broken_files),
	    cmocka_unit_test(every_cut_is_survived),
	    cmocka_unit_test(the_two_files_as_one),
	    cmocka_unit_test(files_that_are_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
