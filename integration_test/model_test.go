package integration_test

import (
	"os"
	"os/exec"
	"testing"
)

// The suite that compares the simulation's model of the database with PostgreSQL stands beside the
// model, in outbox/conformance_test.go. The server is here. SEQUENCES= and SEED= choose what is played.
func TestModel_ConformsToPostgreSQL(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "test", "./outbox", "-count=1", "-v", "-run", "^TestModel_Conforms$")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "WEBHOOK_TEST_MODEL="+newDatabase(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
