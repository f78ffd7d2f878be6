package outbox

import "testing"

// simFlaw is one mistake in the SQL, made on purpose.
type simFlaw string

const (
	sweepRequeues             simFlaw = "the sweep makes one-attempt events pending again"
	recordedWithoutFence      simFlaw = "an outcome is recorded whoever holds the row"
	noUniqueIndex             simFlaw = "there is no unique index on the held rows of a document"
	rowsNotLocked             simFlaw = "a claim does not lock its rows"
	switchesNotLocked         simFlaw = "a claim reads the switches without their locks"
	laterExportsOverlooked    simFlaw = "a claim does not look for a later export"
	finishedExportsOverlooked simFlaw = "a claim does not look for a later export that is finished"
	overtakenExportsSent      simFlaw = "a claim is not refused when a later export was written since its snapshot"
	retriesTakeTheLane        simFlaw = "retries of documents may take the whole lane"
)

// The proof that the simulation bites: each mistake is found within so many schedules.
func TestTheSimulationFindsBrokenSQL(t *testing.T) {
	for flaw, within := range map[simFlaw]int{
		sweepRequeues:             2_000,
		recordedWithoutFence:      2_000,
		noUniqueIndex:             10_000,
		rowsNotLocked:             2_000,
		switchesNotLocked:         5_000,
		laterExportsOverlooked:    2_000,
		finishedExportsOverlooked: 5_000,
		retriesTakeTheLane:        5_000,
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
// TestAClaimThatStandsStillNeverSendsAnOlderExportAfterANewer.
func TestNeverAnOlderExportAfterANewer(t *testing.T) {
	mustBeFound(t, 55_000, 10_000, overtakenExportsSent)
}
