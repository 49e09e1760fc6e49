/* SPDX-License-Identifier: MIT */
/*
 * A VMCS as somebody's dump has it: some fields are known, the others are not.
 */
#ifndef TOOLS_VMCS_WHY_DUMP_H
#define TOOLS_VMCS_WHY_DUMP_H

#include "vmx/nested/vmcs12/vmcs12.h"

struct dump {
	struct vmcs12 v12;
	bool known[VMCS12_FIELD_COUNT];
	unsigned int count; /* of known fields */
	/* Bytes of the dump that were taken for something, and what for; NULL: nobody wants to know. */
	void (*took)(const char *line, size_t length, const char *field, u64 value);
};

/* Reads a whole dump. What is not understood is passed over. False: no field was found in it. */
bool dump_parse(struct dump *dump, const char *text, size_t length);

/* Capability MSRs, one a line: a number or a name, then the value. What is not given stays "any processor".
 */
struct vmx_caps;
bool caps_parse(struct vmx_caps *caps, const char *text, size_t length);
void caps_any(struct vmx_caps *caps);

/* Capabilities by name (models.def). False: there is no such model; `known` then lists those there are. */
bool caps_model(struct vmx_caps *caps, const char *name, char *known, size_t size);

#endif
