#!/bin/busybox sh
# The first process of a Linux guest: loads the few modules it needs, says that it is up, then runs the test that the
# kernel's command line names (bulkhead.test=NAME) or gives a shell on the console.
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
while read -r module; do insmod "/modules/$module.ko"; done < /modules/order

test=none mib=4 console=
for word in $(cat /proc/cmdline); do
    case $word in
        bulkhead.test=*) test=${word#*=} ;;
        bulkhead.mib=*) mib=${word#*=} ;;
        console=hvc*) console=/dev/${word#*=} ;;
    esac
done
# A console whose driver is a module was not there when the kernel opened init's.
if [ -n "$console" ]; then
    # Its port is added in the background.
    tries=0
    until (: <"$console") 2>/dev/null || [ $tries -ge 100 ]; do
        tries=$((tries + 1))
        usleep 100000
    done
    exec <"$console" >"$console" 2>&1
fi

cpus() { nproc; }
say() { echo "bulkhead: $*"; }
fail() {
    say "$test FAILED: $*"
    report
    poweroff -f
}
# The kernel's log with each line's level, for the harness to compare.
report() {
    say "dmesg begins"
    dmesg -r
    say "dmesg ends"
}

# Waits for a disk: its driver probes in the background.
disk() {
    tries=0
    while [ ! -b /dev/vda ]; do
        tries=$((tries + 1))
        [ $tries -lt 50 ] || return 1
        usleep 100000
    done
}

# Writes some MiB of noise (bulkhead.mib=N) twice to the disk, reads it back past the page cache and compares, while all CPUs compute.
load() {
    disk || fail "there is no disk"
    sum_of_noise=
    workers=
    for _ in $(seq "$(cpus)"); do
        sh -c 'while :; do dd if=/dev/zero bs=64k count=16 2>/dev/null | md5sum >/dev/null; done' &
        workers="$workers $!"
    done
    dd if=/dev/urandom of=/tmp/noise bs=1M count="$mib" 2>/dev/null || fail "no noise"
    sum_of_noise=$(md5sum < /tmp/noise)
    for at in 0 32; do
        dd if=/tmp/noise of=/dev/vda bs=1M seek=$at 2>/dev/null || fail "the disk takes no data"
    done
    sync
    echo 3 > /proc/sys/vm/drop_caches
    for at in 32 0; do
        sum=$(dd if=/dev/vda bs=1M skip=$at count="$mib" 2>/dev/null | md5sum)
        [ "$sum" = "$sum_of_noise" ] || fail "the disk gave back other data at $at MiB"
    done
    for worker in $workers; do
        kill -0 "$worker" || fail "a worker died"
        kill "$worker"
    done
    # Every CPU has done work: idle time alone would mean that it never ran anything.
    busy=$(awk '/^cpu[0-9]/ && $2 + $4 > 0' /proc/stat | wc -l)
    [ "$busy" = "$(cpus)" ] || fail "only $busy CPUs did any work"
    say "load ok, $(cpus) CPUs busy, $((2 * mib)) MiB written, read back and equal"
}

# Takes every CPU but the first off- and online again, 20 times.
hotplug() {
    all=$(cpus)
    for round in $(seq 20); do
        for cpu in /sys/devices/system/cpu/cpu[1-9]*; do
            echo 0 > "$cpu/online" || fail "round $round: ${cpu##*/} does not go offline"
        done
        [ "$(cpus)" = 1 ] || fail "round $round: $(cpus) CPUs left of 1"
        for cpu in /sys/devices/system/cpu/cpu[1-9]*; do
            echo 1 > "$cpu/online" || fail "round $round: ${cpu##*/} does not come back"
        done
        [ "$(cpus)" = "$all" ] || fail "round $round: $(cpus) CPUs back of $all"
        say "hotplug round $round"
    done
    say "hotplug ok, 20 rounds of $((all - 1)) CPUs"
}

# Reboots once. The mark that says so lies on the disk; without a disk, whoever watches counts.
reboot_once() {
    if disk; then
        if [ "$(dd if=/dev/vda bs=8 count=1 2>/dev/null)" = rebooted ]; then
            say "reboot ok"
            return
        fi
        printf rebooted | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null
    fi
    say "rebooting"
    reboot -f
}

# Keeps three disks busy for ever. Whoever ends this life meanwhile finds in the next one what this one had written for good:
# noise, and behind it the life's number and the noise's sum.
busy() {
    tries=0
    until [ -b /dev/vda ] && [ -b /dev/vdb ] && [ -b /dev/vdc ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail "there are not three disks"
        usleep 100000
    done
    life=1
    dd if=/dev/urandom of=/tmp/noise bs=1M count=8 2>/dev/null || fail "no noise"
    for disk in /dev/vda /dev/vdb /dev/vdc; do
        mark=$(dd if=$disk bs=1M skip=60 count=1 2>/dev/null | tr -d '\0' | head -n 1)
        if [ -n "$mark" ]; then
            sum=$(dd if=$disk bs=1M count=8 2>/dev/null | md5sum)
            [ "$sum" = "${mark#* }" ] || fail "$disk gave back other data than were written"
            life=$((${mark%% *} + 1))
        fi
    done
    for disk in /dev/vda /dev/vdb /dev/vdc; do
        dd if=/tmp/noise of=$disk bs=1M conv=notrunc,fsync 2>/dev/null || fail "$disk takes no data"
        echo "$life $(md5sum < /tmp/noise)" | dd of=$disk bs=1M seek=60 conv=notrunc,fsync 2>/dev/null
        for at in 0 16 32; do
            sh -c "while :; do dd if=$disk of=/dev/null bs=1M skip=$at count=16; done" 2>/dev/null &
        done
        sh -c "while :; do dd if=/tmp/noise of=$disk bs=1M seek=40 conv=notrunc,fsync; done" 2>/dev/null &
    done
    sleep 1
    say "busy, life $life"
    while :; do echo 3 > /proc/sys/vm/drop_caches; done
}

# Feeds the watchdog, then no more. The mark of the second life is the driver's own.
watchdog_once() {
    dog=/sys/class/watchdog/watchdog0
    [ -c /dev/watchdog0 ] || fail "there is no watchdog"
    # WDIOF_CARDRESET
    if [ $(($(cat $dog/bootstatus) & 32)) != 0 ]; then
        say "watchdog ok, it ended the last life"
        return
    fi
    watchdog -T 6 -t 1 /dev/watchdog0
    sleep 12
    say "watchdog $(cat $dog/identity), fed for 12 s, $(cat $dog/timeleft) s left of $(cat $dog/timeout)"
    killall -STOP watchdog
    sleep 60
    fail "nobody feeds it, and the cell lives on"
}

# Fixed work in memory, timed by the kernel's clock; then nothing. Where the hypervisor is asked for its counters, the guest is busy
# with what is not timed, so that it does not matter when the question comes.
bench() {
    now() { sed -n 's/^now at \([0-9]*\) nsecs.*/\1/p' /proc/timer_list; }
    moment() { dd if=/dev/zero bs=1M count=24 2>/dev/null | md5sum >/dev/null; }
    seq 4900000 | head -c 33554432 > /tmp/text
    mkfifo /tmp/there /tmp/back
    say "bench ready"
    moment
    begun=$(now)
    gzip -c /tmp/text | sha256sum > /tmp/sum
    compressed=$(now)
    for _ in $(seq 1000); do (:); done
    forked=$(now)
    (while read -r ball; do echo "$ball"; done) < /tmp/there > /tmp/back &
    exec 3> /tmp/there 4< /tmp/back
    for ball in $(seq 5000); do
        echo "$ball" >&3
        read -r _ <&4
    done
    exec 3>&- 4<&-
    ended=$(now)
    say "bench done: compress $((compressed - begun)) forks $((forked - compressed)) pipe $((ended - forked))"
    moment
    say "bench idle"
    read -r _
}

say "linux up, $(cpus) cpus"
case $test in
    none) ;;
    check) say "check $(uname -r), $(cpus) cpus, $(awk '/^MemTotal/ { print $2 }' /proc/meminfo) KiB" ;;
    load) load ;;
    hotplug) hotplug ;;
    reboot) reboot_once ;;
    watchdog) watchdog_once ;;
    busy) busy ;;
    bench) bench ;;
    *) say "unknown test $test" ;;
esac
if [ "$test" = none ]; then
    # setsid and cttyhack make the console the shell's terminal, so that Ctrl-C works.
    while :; do setsid cttyhack sh; done
fi
report
say "powering off"
poweroff -f
