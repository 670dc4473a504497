/* Compiler helpers that every module may use. No state, no I/O. */
#pragma once

#include <stddef.h>
#include <stdlib.h>

#define must_use			  __attribute__((warn_unused_result))
#define printf_like(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))
#define array_len(a)			  (sizeof(a) / sizeof((a)[0]))

/* Runs `fn(&variable)` when the variable leaves its scope. */
#define cleanup(fn) __attribute__((cleanup(fn)))

/* Reads a pointer and leaves NULL behind, so that a cleanup attribute frees nothing. */
#define take_ptr(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) *slot_ = &(p);                                                                           \
		__typeof__(p) taken_ = *slot_;                                                                         \
		*slot_ = NULL;                                                                                         \
		taken_;                                                                                                \
	})

/* Defines `NAME_p(T **)`, the cleanup form of the destructor `NAME(T *)`, which takes NULL. */
#define define_cleanup(type, name)                                                                                     \
	static inline void name##_p(type *slot)                                                                        \
	{                                                                                                              \
		if (*slot)                                                                                             \
			name(*slot);                                                                                   \
	}                                                                                                              \
	struct define_cleanup_wants_a_semicolon

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
