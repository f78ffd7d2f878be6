package outbox

import "testing"

// simFlaw is one mistake in the SQL, made on purpose.
type simFlaw string

const (
	expiryRequeues            simFlaw = "leases that expire make one-attempt events pending again"
	recordedUnderAnyClaim     simFlaw = "an outcome is recorded under any claim"
	noUniqueIndex             simFlaw = "there is no unique index on the leased rows of a document"
	rowsNotLocked             simFlaw = "a claim does not lock its rows"
	switchesNotLocked         simFlaw = "a claim reads the switches without their locks"
	laterExportsOverlooked    simFlaw = "a claim ignores later exports"
	finishedExportsOverlooked simFlaw = "a claim ignores later exports that are finished"
	overtakenExportsSent      simFlaw = "a claim is not refused when a later export was written since its snapshot"
	retriesFillTheLane        simFlaw = "retries may fill the whole lane"
)

// The proof that the simulation finds mistakes: each is found within so many schedules.
func TestSim_FindsBrokenSQL(t *testing.T) {
	for flaw, within := range map[simFlaw]int{
		expiryRequeues:            2_000,
		recordedUnderAnyClaim:     2_000,
		noUniqueIndex:             10_000,
		rowsNotLocked:             2_000,
		switchesNotLocked:         5_000,
		laterExportsOverlooked:    2_000,
		finishedExportsOverlooked: 5_000,
		retriesFillTheLane:        5_000,
	} {
		t.Run(string(flaw), func(t *testing.T) { mustBeFound(t, 1, within, flaw) })
	}
}

func mustBeFound(t *testing.T, seed uint64, within int, flaw simFlaw) {
	t.Helper()
	found := simulate(t, seed, within, flaw)
	if found.failure == "" {
		t.Fatalf("not found in %d schedules", found.schedules)
	}
	t.Logf("seed %d, after %d schedules: %s", found.seed, found.schedules, found.failure)
}

// The hole that the simulation found, and that the trigger of this name closes:
// the server process of one claim stands still between its locks and its commit
// while others claim a later export, POST it and record it. See also
// TestClaim_FrozenClaimNeverSendsAnOlderExportAfterANewer. It takes a rare order of events: seed
// 13,921 has it. The search begins shortly before that, so that it is short as long
// as the schedules of the seeds are the same, and as long as it was after they have changed.
func TestSim_OlderExportNeverFollowsANewer(t *testing.T) {
	mustBeFound(t, 13_850, 50_000, overtakenExportsSent)
}
