/*
 * A token bucket: `rate` tokens a second, at most `burst` saved. Pure arithmetic over the time that is handed in; time
 * that goes backwards adds nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	double rate;  /* tokens a second, > 0 */
	double burst; /* >= 1 */
	double tokens;
	int64_t at_ms;
};

void bucket_init(struct bucket *b, double rate, double burst, int64_t now_ms); /* starts full */
bool bucket_take(struct bucket *b, int64_t now_ms);			       /* one token, if there is one */
void bucket_give_back(struct bucket *b);				       /* one that was taken for nothing */
/* From now on; what has been saved up so far stays, as far as the new burst holds it. */
void bucket_set_rate(struct bucket *b, double rate, double burst, int64_t now_ms);
int64_t bucket_wait_ms(const struct bucket *b, int64_t now_ms); /* until one token is there; 0: now */
