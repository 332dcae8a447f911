package e2e

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/testdata/backends"
)

const (
	kafkaUser     = "assay-user"
	kafkaPassword = "secret-1"
)

// TestAccessToKafkaIsTakenAway: a right that is revoked and a password that is
// withdrawn are told as auth_failed within 30 seconds, whatever is pending goes on,
// and intake heals by itself when the access is restored (F15). The broker closes
// every connection whose authentication is older than two seconds, which kafka-go
// does not know of (P27): that alone disturbs nobody.
func TestAccessToKafkaIsTakenAway(t *testing.T) {
	t.Parallel()
	broker := backends.StartKafka(t, backends.KafkaUsers(2*time.Second, map[string]string{kafkaUser: kafkaPassword}))
	admin := kafkatest.Connect(t, kafka.Config{Brokers: []string{broker.Addr}})
	if _, err := kafka.EnsureTopics(t.Context(), admin, kafka.Topics...); err != nil {
		t.Fatal(err)
	}
	allow(t, admin, true, kafkago.ResourceTypeTopic, kafkago.ACLOperationTypeRead, kafkago.ACLOperationTypeWrite, kafkago.ACLOperationTypeDescribe, kafkago.ACLOperationTypeDescribeConfigs)
	allow(t, admin, true, kafkago.ResourceTypeGroup, kafkago.ACLOperationTypeRead)

	a := serve(t, setup{brokers: []string{broker.Guarded}, login: kafkaUser + ":" + kafkaPassword})
	const plays = 6
	w := worldOf(t, 12*time.Minute, many("error-regression", plays)...)
	w.push(a)
	next := 0
	play := func() (id string) {
		id = fmt.Sprintf("error-regression-%d", next)
		next++
		return id
	}
	tell := func() {
		t.Helper()
		produce(t, broker.Addr, encode(t, started(play(), w.deployed)))
	}
	tell()
	a.eventually(10*time.Second, "the first event", func() error { return a.counted(1, 0) })
	published(t, broker.Addr, 1)
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(100 * time.Millisecond) { // two lives of a connection
		if state, lastError := a.ingestState(); state == "auth_failed" {
			t.Fatalf("an authentication that was too old is told as %s: %s", state, lastError)
		}
	}
	tell()
	a.eventually(10*time.Second, "the second event", func() error { return a.counted(2, 0) })

	taken := 2
	for _, c := range []struct {
		name          string
		take, restore func()
	}{
		{
			"the right to read the topic",
			func() { allow(t, admin, false, kafkago.ResourceTypeTopic, kafkago.ACLOperationTypeRead) },
			func() { allow(t, admin, true, kafkago.ResourceTypeTopic, kafkago.ACLOperationTypeRead) },
		},
		{"the password", func() { setPassword(t, admin, "") }, func() { setPassword(t, admin, kafkaPassword) }},
	} {
		c.take()
		noticed := a.eventually(30*time.Second, "auth_failed without "+c.name, func() error {
			if state, lastError := a.ingestState(); state != "auth_failed" {
				return fmt.Errorf("%s: %s", state, lastError)
			}
			return nil
		})
		if err := a.metricIs(`assay_intake_state{state="auth_failed"}`, 1); err != nil {
			t.Error(err)
		}
		tell() // into the topic, past Assay
		pending := play()
		a.post(started(pending, w.deployed))
		if v, _ := a.final(pending, 10*time.Second); v.Verdict.String() != "rollback" {
			t.Errorf("judged without %s: %s (%s), want rollback", c.name, v.Verdict, v.ReasonCode)
		}
		c.restore()
		taken++
		healed := a.eventually(20*time.Second, "intake reads again", func() error {
			if err := a.counted(taken, 0); err != nil {
				return err
			}
			return a.answers("/-/ready")
		})
		t.Logf("without %s: told after %v; healed %v after it was restored", c.name, noticed.Round(time.Millisecond), healed.Round(time.Millisecond))
	}
	if _, repeated := published(t, broker.Addr, plays); repeated > 2 { // one for each outage (reliability G3)
		t.Errorf("%d records of verdicts are repeated", repeated)
	}
	a.stop()
	a.verifyAudit()
}

// allow gives the user the right to do something with all topics or groups of
// Assay, or takes it away.
func allow(t *testing.T, admin *kafka.Client, yes bool, kind kafkago.ResourceType, operations ...kafkago.ACLOperationType) {
	t.Helper()
	for _, operation := range operations {
		var errs []error
		if yes {
			r, err := admin.API().CreateACLs(t.Context(), &kafkago.CreateACLsRequest{ACLs: []kafkago.ACLEntry{{
				ResourceType: kind, ResourceName: "assay", ResourcePatternType: kafkago.PatternTypePrefixed,
				Principal: "User:" + kafkaUser, Host: "*", Operation: operation, PermissionType: kafkago.ACLPermissionTypeAllow,
			}}})
			if err != nil {
				t.Fatal(err)
			}
			errs = r.Errors
		} else {
			r, err := admin.API().DeleteACLs(t.Context(), &kafkago.DeleteACLsRequest{Filters: []kafkago.DeleteACLsFilter{{
				ResourceTypeFilter: kind, ResourceNameFilter: "assay", ResourcePatternTypeFilter: kafkago.PatternTypePrefixed,
				PrincipalFilter: "User:" + kafkaUser, HostFilter: "*", Operation: operation, PermissionType: kafkago.ACLPermissionTypeAllow,
			}}})
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range r.Results {
				if errs = append(errs, result.Error); len(result.MatchingACLs) != 1 {
					t.Fatalf("%d rights are taken away, want one", len(result.MatchingACLs))
				}
			}
		}
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// setPassword gives the user a password; none takes the one that there is away.
func setPassword(t *testing.T, admin *kafka.Client, password string) {
	t.Helper()
	request := &kafkago.AlterUserScramCredentialsRequest{Deletions: []kafkago.UserScramCredentialsDeletion{{Name: kafkaUser, Mechanism: kafkago.ScramMechanismSha256}}}
	if password != "" {
		const iterations = 4096
		salt := []byte("salt of the tests")
		salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
		if err != nil {
			t.Fatal(err)
		}
		request = &kafkago.AlterUserScramCredentialsRequest{Upsertions: []kafkago.UserScramCredentialsUpsertion{{
			Name: kafkaUser, Mechanism: kafkago.ScramMechanismSha256, Iterations: iterations, Salt: salt, SaltedPassword: salted,
		}}}
	}
	r, err := admin.API().AlterUserScramCredentials(t.Context(), request)
	if err != nil || len(r.Results) != 1 || r.Results[0].Error != nil {
		t.Fatal(r, err)
	}
}
