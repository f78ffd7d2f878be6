// Package test renders the Helm chart and reads the result as Kubernetes and its Prometheus operator do, strictly:
// a field that does not exist is an error. It is a module of its own, so that their types stay out of the program.
package test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
)

const chartDir = "../webhooks"

// least are the values that have no default; most turns everything on.
const least = `
image: {tag: 1.2.3}
database: {secret: worker-database}
migrate: {database: {secret: owner-database}}
`

const most = least + `
settings: {WEBHOOK_ENVIRONMENT: production, WEBHOOK_TIMEOUT: 20s}
secretSettings:
  WEBHOOK_SECRET_KEY: {secret: webhooks-key, key: key}
  WEBHOOK_CA: {secret: authorities, key: ca.pem}
page:
  enabled: true
  database: {secret: page-database}
  hosts: [webhooks.example.com]
  passwordHash: {secret: page-password}
  ingress: {enabled: true, className: nginx, host: webhooks.example.com, tlsSecret: page-tls, annotations: {a: b}}
metrics:
  serviceMonitor: {enabled: true, labels: {release: prometheus}}
  prometheusRule: {enabled: true, labels: {release: prometheus}}
networkPolicy:
  extraEgress: [{to: [{ipBlock: {cidr: 10.1.0.0/16}}], ports: [{protocol: TCP, port: 3128}]}]
podLabels: {team: records}
podAnnotations: {a: b}
imagePullSecrets: [{name: registry}]
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: dedicated, operator: Exists}]
priorityClassName: high
affinity: {nodeAffinity: {}}
`

// render is `helm template`, the hooks included.
func render(t *testing.T, values string) (string, error) {
	t.Helper()
	parsed, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		t.Fatal(err)
	}
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	install := action.NewInstall(&action.Configuration{})
	install.DryRun, install.ClientOnly, install.ReleaseName, install.Namespace = true, true, "re", "records"
	install.KubeVersion = &chartutil.KubeVersion{Version: "v1.33.0", Major: "1", Minor: "33"}
	release, err := install.Run(chart, parsed)
	if err != nil {
		return "", err
	}
	text := release.Manifest
	for _, hook := range release.Hooks {
		text += "\n---\n" + hook.Manifest
	}
	return text, nil
}

// objects are those of a release, decoded strictly.
type objects struct {
	all         []runtime.Object
	pods        map[string]core.PodTemplateSpec // by the name of their Deployment or Job
	deployments map[string]apps.Deployment
	services    []core.Service
	policies    []networking.NetworkPolicy
	budgets     []policy.PodDisruptionBudget
	jobs        []batch.Job
}

func rendered(t *testing.T, values string) objects {
	t.Helper()
	text, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	if err := monitoring.AddToScheme(scheme.Scheme); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	o := objects{pods: map[string]core.PodTemplateSpec{}, deployments: map[string]apps.Deployment{}}
	reader := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return o
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(regexp.MustCompile(`(?m)^#.*$`).ReplaceAll(document, nil))) == 0 {
			continue
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		o.add(t, object)
	}
}

func (o *objects) add(t *testing.T, object runtime.Object) {
	o.all = append(o.all, object)
	switch v := object.(type) {
	case *apps.Deployment:
		o.deployments[v.Name], o.pods[v.Name] = *v, v.Spec.Template
		if !selects(v.Spec.Selector, v.Spec.Template.Labels) {
			t.Errorf("%s does not select its own pods", v.Name)
		}
	case *batch.Job:
		o.jobs, o.pods[v.Name] = append(o.jobs, *v), v.Spec.Template
	case *core.Service:
		o.services = append(o.services, *v)
	case *networking.NetworkPolicy:
		o.policies = append(o.policies, *v)
	case *policy.PodDisruptionBudget:
		o.budgets = append(o.budgets, *v)
	case *core.Secret:
		t.Errorf("the release has a Secret, %s", v.Name)
	}
}

func selects(selector *meta.LabelSelector, pod map[string]string) bool {
	s, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(pod))
}

func selected(o objects, selector *meta.LabelSelector) (names []string) {
	for name, pod := range o.pods {
		if selects(selector, pod.Labels) {
			names = append(names, name)
		}
	}
	return names
}

// TestChart_EachObjectIsValid: with the fewest values and with all, and it lints without a warning.
func TestChart_EachObjectIsValid(t *testing.T) {
	kinds := func(o objects) (names []string) {
		for _, object := range o.all {
			names = append(names, object.GetObjectKind().GroupVersionKind().Kind)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	if got := kinds(rendered(t, least)); !slices.Equal(got, []string{"Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"}) {
		t.Errorf("with the fewest values there are %q", got)
	}
	if got := kinds(rendered(t, most)); !slices.Equal(got, []string{"Deployment", "Ingress", "Job", "NetworkPolicy", "PodDisruptionBudget", "PrometheusRule", "Service", "ServiceAccount", "ServiceMonitor"}) {
		t.Errorf("with all values there are %q", got)
	}
	for _, text := range []string{least, most} {
		values, err := chartutil.ReadValues([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range lint.AllWithKubeVersion(chartDir, values, "records", &chartutil.KubeVersion{Version: "v1.33.0", Major: "1", Minor: "33"}).Messages {
			if m.Severity >= support.WarningSev {
				t.Error(m)
			}
		}
	}
}

// TestChart_PodsAreRestricted: by the code that Kubernetes' admission runs.
func TestChart_PodsAreRestricted(t *testing.T) {
	evaluator, err := security.NewEvaluator(security.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := rendered(t, most)
	if len(o.pods) != 3 {
		t.Fatalf("there are %d kinds of pods", len(o.pods))
	}
	for name, pod := range o.pods {
		for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s: %s", name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		if mount := pod.Spec.AutomountServiceAccountToken; mount == nil || *mount {
			t.Errorf("%s has a token of the API", name)
		}
		c := pod.Spec.Containers[0]
		if !*c.SecurityContext.ReadOnlyRootFilesystem || c.Resources.Limits.Memory().IsZero() || c.Image != "ghcr.io/recordengine/webhooks:1.2.3" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// TestChart_WorkersStopInTimeAndAreProbed: two of them, of which one goes at a time.
func TestChart_WorkersStopInTimeAndAreProbed(t *testing.T) {
	o := rendered(t, least)
	d := o.deployments["re-webhooks"]
	pod := d.Spec.Template.Spec
	if *d.Spec.Replicas != 2 || *pod.TerminationGracePeriodSeconds < 36 || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Errorf("%+v", d.Spec)
	}
	c := pod.Containers[0]
	if c.LivenessProbe.HTTPGet.Path != "/livez" || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.Args[0] != "run" {
		t.Errorf("%+v", c)
	}
	if len(o.budgets) != 1 || !slices.Equal(selected(o, o.budgets[0].Spec.Selector), []string{"re-webhooks"}) || o.budgets[0].Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("the budget is %+v", o.budgets)
	}
	if s := pod.TopologySpreadConstraints; len(s) != 1 || !slices.Equal(selected(o, s[0].LabelSelector), []string{"re-webhooks"}) {
		t.Errorf("the workers are spread by %+v", s)
	}
}

// TestChart_ServicesAndPoliciesReachPorts: names of ports exist, each pod has exactly one policy, and the page gets no way out.
func TestChart_ServicesAndPoliciesReachPorts(t *testing.T) {
	o := rendered(t, most)
	hasPort := func(name, port string) bool {
		return slices.ContainsFunc(o.pods[name].Spec.Containers[0].Ports, func(p core.ContainerPort) bool { return p.Name == port })
	}
	for _, s := range o.services {
		pods := selected(o, &meta.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(pods) != 1 || !hasPort(pods[0], s.Spec.Ports[0].TargetPort.String()) {
			t.Errorf("the service %s leads to %q", s.Name, pods)
		}
	}
	for name, pod := range o.pods {
		var of []networking.NetworkPolicy
		for _, p := range o.policies {
			if selects(&p.Spec.PodSelector, pod.Labels) {
				of = append(of, p)
			}
		}
		if len(of) != 1 || len(of[0].Spec.PolicyTypes) != 2 {
			t.Fatalf("%s has the policies %+v", name, of)
		}
		for _, rule := range of[0].Spec.Ingress {
			if len(rule.Ports) != 1 || !hasPort(name, rule.Ports[0].Port.String()) {
				t.Errorf("%s: %+v", name, rule)
			}
		}
		internet := slices.ContainsFunc(of[0].Spec.Egress, func(r networking.NetworkPolicyEgressRule) bool {
			return slices.ContainsFunc(r.To, func(p networking.NetworkPolicyPeer) bool { return p.IPBlock != nil && p.IPBlock.CIDR == "0.0.0.0/0" })
		})
		if internet != (name == "re-webhooks") {
			t.Errorf("%s reaches the internet: %t", name, internet)
		}
		if name == "re-webhooks-migrate" && len(of[0].Spec.Ingress) > 0 {
			t.Errorf("%s is reached: %+v", name, of[0].Spec.Ingress)
		}
	}
}

// TestChart_SecretsAreFiles: each variable that names a file has that file, from a Secret of the values; none has a secret's text.
func TestChart_SecretsAreFiles(t *testing.T) {
	o := rendered(t, most)
	for name, want := range map[string]map[string]string{
		"re-webhooks": {"DATABASE_URL_FILE": "worker-database/url", "WEBHOOK_SECRET_KEY_FILE": "webhooks-key/key", "WEBHOOK_CA_FILE": "authorities/ca.pem"},
		"re-webhooks-page": {"DATABASE_URL_FILE": "page-database/url", "WEBHOOK_ADMIN_PASSWORD_HASH_FILE": "page-password/hash",
			"WEBHOOK_SECRET_KEY_FILE": "webhooks-key/key", "WEBHOOK_CA_FILE": "authorities/ca.pem"},
		"re-webhooks-migrate": {"DATABASE_URL_FILE": "owner-database/url"},
	} {
		pod := o.pods[name].Spec
		files := map[string]string{}
		for _, source := range pod.Volumes[0].Projected.Sources {
			for _, item := range source.Secret.Items {
				files[pod.Containers[0].VolumeMounts[0].MountPath+"/"+item.Path] = source.Secret.Name + "/" + item.Key
			}
		}
		got := map[string]string{}
		for _, v := range pod.Containers[0].Env {
			if strings.HasSuffix(v.Name, "_FILE") {
				got[v.Name] = files[v.Value]
			}
		}
		for variable, secret := range want {
			if got[variable] != secret {
				t.Errorf("%s: %s is %q, want %q", name, variable, got[variable], secret)
			}
		}
		if len(got) != len(want) || len(files) != len(want) {
			t.Errorf("%s has the files %v", name, got)
		}
	}
}

// TestChart_ManyDatabasesAreAFile: the list is mounted as a folder, so that it follows the Secret, and there is no single URL.
func TestChart_ManyDatabasesAreAFile(t *testing.T) {
	const many = "image: {tag: 1.2.3}\nmigrate: {enabled: false}\ndatabases: {secret: worker-databases}\n"
	o := rendered(t, many)
	pod := o.pods["re-webhooks"].Spec
	c := pod.Containers[0]
	var files []string
	for _, v := range c.Env {
		if strings.HasSuffix(v.Name, "_FILE") {
			files = append(files, v.Name+" "+v.Value)
		}
	}
	if !slices.Equal(files, []string{"WEBHOOK_DATABASES_FILE /etc/recordengine/databases"}) {
		t.Errorf("the worker reads %q", files)
	}
	sources := pod.Volumes[0].Projected.Sources
	if len(sources) != 1 || sources[0].Secret.Name != "worker-databases" || sources[0].Secret.Items[0] != (core.KeyToPath{Key: "databases", Path: "databases"}) {
		t.Errorf("the files come from %+v", sources)
	}
	if m := c.VolumeMounts[0]; m.MountPath != "/etc/recordengine" || m.SubPath != "" {
		t.Errorf("they are mounted as %+v", m)
	}
	if len(o.jobs) != 0 {
		t.Error("a job migrates one database")
	}
	for what, values := range map[string]string{
		"no database": "image: {tag: 1.2.3}\nmigrate: {enabled: false}\n",
		"both":        many + "database: {secret: worker-database}\n",
		"a migration": strings.Replace(many, "enabled: false", "enabled: true, database: {secret: owner-database}", 1),
	} {
		if _, err := render(t, values); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

// TestChart_SchemaIsMigratedBefore: by a hook that uses nothing of the release, so that it runs also before the first install.
func TestChart_SchemaIsMigratedBefore(t *testing.T) {
	o := rendered(t, least)
	if len(o.jobs) != 1 {
		t.Fatalf("there are %d jobs", len(o.jobs))
	}
	job := o.jobs[0]
	if job.Annotations["helm.sh/hook"] != "pre-install,pre-upgrade" || job.Spec.Template.Spec.ServiceAccountName != "" ||
		!slices.Equal(job.Spec.Template.Spec.Containers[0].Args, []string{"migrate", "--roles"}) {
		t.Errorf("%+v", job)
	}
	if o := rendered(t, least+"\nreplicas: 3\n"); *o.deployments["re-webhooks"].Spec.Replicas != 3 {
		t.Error("replicas are not those of the values")
	}
	without := strings.Replace(least, "migrate: {", "migrate: {enabled: false, ", 1)
	if o := rendered(t, without); len(o.jobs) != 0 {
		t.Error("migrate.enabled is not heeded")
	}
}

// TestChart_WrongValuesAreRefused in words, before anything is installed.
func TestChart_WrongValuesAreRefused(t *testing.T) {
	page := "page: {enabled: true, database: {secret: p}"
	for values, says := range map[string]string{
		"database: {secret: d}\nmigrate: {enabled: false}":               "image.tag is the version to run",
		"image: {tag: 1.2.3}\nmigrate: {enabled: false}":                 "/database/secret",
		"image: {tag: 1.2.3}\ndatabase: {secret: d}":                     "/migrate/database/secret",
		least + "replica: 3":                                             "'replica' not allowed",
		least + "settings: {DATABASE_URL: postgres://u:p@h/d}":           "DATABASE_URL",
		least + "secretSettings: {WEBHOOK_TIMEOUT: {secret: s, key: k}}": "WEBHOOK_TIMEOUT",
		least + "page: {enabled: true, passwordHash: {secret: s}}":       "/page/database/secret",
		least + page + "}":                          "people must log in",
		least + page + ", trustUserHeader: X-User}": "belong together",
		least + page + ", passwordHash: {secret: s}, ingress: {enabled: true, host: a.b}}": "page.ingress.tlsSecret",
	} {
		if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s\n  says %v, want %q", values, err, says)
		}
	}
}

// TestChart_SettingsAreThePrograms: each variable that the chart sets is one that `webhooks help environment` lists.
func TestChart_SettingsAreThePrograms(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", "help", "environment")
	cmd.Dir = "../../.."
	help, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, help)
	}
	var text []byte
	for _, name := range []string{"_helpers.tpl", "worker.yaml", "page.yaml", "migrate.yaml"} {
		part, err := os.ReadFile(chartDir + "/templates/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, part...)
	}
	found := regexp.MustCompile(`name: ([A-Z_]*[A-Z])\b`).FindAllSubmatch(text, -1)
	if len(found) < 8 {
		t.Fatalf("found %d settings", len(found))
	}
	for _, m := range found {
		if !bytes.Contains(help, m[1]) {
			t.Errorf("the chart sets %s, which the program does not know", m[1])
		}
	}
}
