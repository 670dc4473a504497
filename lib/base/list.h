/*
 * Lists that are linked both ways, through the members `next` and `prev` of their items. `head` is the address of the
 * pointer to the first one; an item is in one list at most.
 */
#pragma once

#define list_push(head, item)                                                                                          \
	do {                                                                                                           \
		(item)->prev = NULL;                                                                                   \
		(item)->next = *(head);                                                                                \
		if ((item)->next)                                                                                      \
			(item)->next->prev = (item);                                                                   \
		*(head) = (item);                                                                                      \
	} while (0)

#define list_remove(head, item)                                                                                        \
	do {                                                                                                           \
		if ((item)->prev)                                                                                      \
			(item)->prev->next = (item)->next;                                                             \
		else                                                                                                   \
			*(head) = (item)->next;                                                                        \
		if ((item)->next)                                                                                      \
			(item)->next->prev = (item)->prev;                                                             \
		(item)->next = (item)->prev = NULL;                                                                    \
	} while (0)
