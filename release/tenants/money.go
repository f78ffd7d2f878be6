package main

import "math"

// prices are list prices in US dollars, on demand, without a discount, of the AWS region us-east-1 as
// third parties quote them; docs/scale.md names them. Put in what you pay.
const (
	machineHour  = 0.0816 // m7g.large: 2 vCPU, 8 GiB; June 2026
	machineCores = 2.0
	machineBytes = 8 << 30
	diskMonth    = 0.08 // a GB of gp3; early 2026
	monthHours   = 730.0
)

// What a machine is filled up to.
const (
	busiest         = 0.5   // of its cores, in the busiest hour
	ofMemory        = 0.5   // of its memory, by sessions and worker processes
	ofDisk          = 0.7   // of its disk
	standbys        = 1     // of each PostgreSQL: its disk and its machine again
	perServer       = 500   // databases: autovacuum visits at most ten of them a second, in a minute 600
	databaseMachine = 8     // cores of a PostgreSQL machine: four of the above in one, at four times its price
	spareWorkers    = 1     // a worker machine more than needed
	largestVolume   = 16e12 // bytes of one gp3 volume, in half of which a server is still restored in a night
)

// bill is what is needed, and costs.
type bill struct {
	databases, workers int // machines
	perMonth           float64
}

func billOf(u usage, tenants int) bill {
	servers := most(
		u.peakDatabase/3600/(databaseMachine*busiest),
		u.memory/(machineBytes*databaseMachine/machineCores*ofMemory),
		u.disk/ofDisk/(largestVolume/2),
		float64(tenants)/perServer,
	)
	workers := most(u.peakWorker/3600/(machineCores*busiest), u.workerMemory/(machineBytes*ofMemory)) + spareWorkers
	b := bill{databases: servers * (1 + standbys), workers: workers}
	machines := float64(b.databases)*databaseMachine/machineCores + float64(workers)
	b.perMonth = machines*machineHour*monthHours + (1+standbys)*u.disk/ofDisk/1e9*diskMonth
	return b
}

// most is the number of machines that the scarcest thing needs, one at least.
func most(needs ...float64) int {
	n := 1.0
	for _, need := range needs {
		n = math.Max(n, math.Ceil(need))
	}
	return int(n)
}
