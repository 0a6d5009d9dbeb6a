/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wake.pml - the protocol of domu_apic.c, domu_run.c and the KVM library by
 * which a vCPU with nothing to do sleeps in ring 3 and is woken: a Spin model.
 * Checked: a request is taken in the end, whatever the order (no wake-up is
 * lost), and nobody waits for ever for something else (no invalid end state).
 *   scripts/model-test.sh vmm/wake.pml, part of make unit
 *
 * request  IRR, nmis, init or kicked: what a sender wants seen
 * blocked, running  of struct domu; exchanges are atomic steps
 * cpu      where it runs, of struct vcpu: another one at any run call
 * poll     struct cpu's word together with the NMI that follows it: the CPU
 *          does not enter the guest, or leaves it, while it is set
 * token    the vCPU's eventfd in ring 3
 *
 * With -DBROKEN_LOOK the vCPU looks for requests before it sets blocked, with
 * -DBROKEN_KICK a sender looks before it asks, with -DBROKEN_MOVE the vCPU
 * looks before it says where it is: all must fail, and do.
 */
#define SENDERS 2
#define CPUS 2

bool request, blocked, running, token;
bool poll[CPUS];
byte cpu;

/* domu_notify(), and the caller's part in ring 3 */
inline notify()
{
	if
	:: d_step { blocked -> blocked = false; } token = true
	:: atomic { !blocked -> skip };
		if
		:: running -> to = cpu; poll[to] = true
		:: !running
		fi
	fi
}

active [SENDERS] proctype sender()
{
	byte to;

	do
	::
#ifdef BROKEN_KICK
		notify();
		request = true
#else
		request = true;
		notify()
#endif
	:: break /* it need not send for ever */
	od
}

active proctype vcpu()
{
	byte here;

ring3:	/* the run call: domu_take(), domu_run() */
	running = true;
	select (here : 0 .. CPUS - 1);
#ifndef BROKEN_MOVE
	cpu = here;
#endif
	blocked = false;
	if
	:: request -> request = false /* taken: injected */
	:: !request
	fi;
#ifdef BROKEN_MOVE
	cpu = here;
#endif
	/* svm_loop, vmx_loop: poll is looked at with NMIs held off */
	if
	:: poll[here] -> poll[here] = false; running = false; goto ring3
	:: !poll[here]
	fi;
guest:	if
	:: poll[here] -> poll[here] = false; running = false; goto ring3
	:: !poll[here] -> goto guest /* it may never exit by itself */
	:: goto halt
	:: running = false; goto ring3 /* any other exit */
	fi;
halt:
#ifdef BROKEN_LOOK
	if
	:: request -> running = false; goto ring3
	:: !request -> blocked = true
	fi;
#else
	blocked = true;
	if
	:: request -> blocked = false; running = false; goto ring3
	:: !request
	fi;
#endif
	running = false;
end:	/* asleep in ppoll() */
	token -> token = false;
	goto ring3
}

ltl taken { [] (request -> <> !request) }
