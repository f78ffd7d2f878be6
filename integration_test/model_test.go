package integration_test

import (
	"os"
	"os/exec"
	"testing"
)

// The suite that compares the simulation's model of the database with PostgreSQL needs both the model,
// which is part of the unit tests of package outbox, and a server, which is here. So it stands in
// outbox/conformance_test.go and is run from here. SEQUENCES and SEED choose what is played.
func TestModel_ConformsToPostgreSQL(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "test", "./outbox", "-count=1", "-vet=off", "-v", "-timeout", "0", "-run", "^TestModel_Conforms$")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "WEBHOOK_TEST_MODEL="+newDatabase(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
