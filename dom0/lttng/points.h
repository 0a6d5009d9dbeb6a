/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * points.h - events of LTTng's provider `luvkvm`, in the form that lttng-ust's
 * macros want: included again and again by them. Rows are those of kvm/tp.h.
 */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER luvkvm
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "lttng/points.h"

#if !defined(LUVKVM_POINTS_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define LUVKVM_POINTS_H

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(luvkvm, ioctl_entry,
	LTTNG_UST_TP_ARGS(unsigned, kind, uint32_t, request, uint64_t, arg),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, kind, kind)
		lttng_ust_field_integer_hex(uint32_t, request, request)
		lttng_ust_field_integer_hex(uint64_t, arg, arg)))

LTTNG_UST_TRACEPOINT_EVENT(luvkvm, ioctl_exit,
	LTTNG_UST_TP_ARGS(unsigned, kind, uint32_t, request, int64_t, result),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, kind, kind)
		lttng_ust_field_integer_hex(uint32_t, request, request)
		lttng_ust_field_integer(int64_t, result, result)))

LTTNG_UST_TRACEPOINT_EVENT(luvkvm, run_entry,
	LTTNG_UST_TP_ARGS(uint64_t, vm, uint32_t, vcpu),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, vm_index, vm & 0xff)
		lttng_ust_field_integer(uint32_t, vcpu_id, vcpu)))

LTTNG_UST_TRACEPOINT_EVENT(luvkvm, run_exit,
	LTTNG_UST_TP_ARGS(uint64_t, vm, uint32_t, vcpu, uint64_t, rax, uint64_t,
			  rdi, uint64_t, rsi, uint64_t, rdx),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, vm_index, vm & 0xff)
		lttng_ust_field_integer(uint32_t, vcpu_id, vcpu)
		lttng_ust_field_integer(int64_t, result, (int64_t)rax)
		lttng_ust_field_integer_hex(uint64_t, rdi, rdi)
		lttng_ust_field_integer_hex(uint64_t, rsi, rsi)
		lttng_ust_field_integer_hex(uint64_t, rdx, rdx)))

LTTNG_UST_TRACEPOINT_EVENT(luvkvm, block,
	LTTNG_UST_TP_ARGS(uint64_t, vm, uint32_t, vcpu, uint64_t, ns),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, vm_index, vm & 0xff)
		lttng_ust_field_integer(uint32_t, vcpu_id, vcpu)
		lttng_ust_field_integer(uint64_t, ns, ns)))

LTTNG_UST_TRACEPOINT_EVENT(luvkvm, unblock,
	LTTNG_UST_TP_ARGS(uint64_t, vm, uint32_t, vcpu),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, vm_index, vm & 0xff)
		lttng_ust_field_integer(uint32_t, vcpu_id, vcpu)))

LTTNG_UST_TRACEPOINT_EVENT(luvkvm, wake,
	LTTNG_UST_TP_ARGS(uint64_t, vm, uint64_t, vcpus),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, vm_index, vm & 0xff)
		lttng_ust_field_integer_hex(uint64_t, vcpus, vcpus)))

LTTNG_UST_TRACEPOINT_EVENT(luvkvm, irqfd,
	LTTNG_UST_TP_ARGS(uint32_t, gsi),
	LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint32_t, gsi, gsi)))

LTTNG_UST_TRACEPOINT_EVENT(luvkvm, ioeventfd,
	LTTNG_UST_TP_ARGS(uint32_t, pio, uint64_t, addr, uint32_t, len, uint64_t,
			  data),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint32_t, pio, pio)
		lttng_ust_field_integer_hex(uint64_t, addr, addr)
		lttng_ust_field_integer(uint32_t, len, len)
		lttng_ust_field_integer_hex(uint64_t, data, data)))

#endif

#include <lttng/tracepoint-event.h>
