package intake

import "testing"

// FuzzPURL: what was made of a version and a digest says them again, and nothing that
// is read claims to be a digest without being one.
func FuzzPURL(f *testing.F) {
	f.Add("pkg:oci/app@sha256%3Aabcdef?tag=1.5.0", "checkout", "1.5.0")
	f.Add("pkg:generic/app@1.5.0", "%40acme/app", "v1@2:3")
	f.Add("pkg:npm/%40acme/app@1.0?checksum=md5:0,sha256:00#sub/path", "a/b", "1 ?#&%")
	f.Add("pkg:oci/@", "", "sha256:00")
	f.Fuzz(func(t *testing.T, text, service, version string) {
		if a, err := parsePURL(text); err == nil && a.digest != "" && !isDigest(a.digest) {
			t.Fatalf("%q has the digest %q", text, a.digest)
		}
		if service == "" || version == "" || isDigest(version) {
			return
		}
		for _, digest := range []string{"", "sha256:0123456789abcdef"} {
			made := makePURL(service, version, digest)
			if a, err := parsePURL(made); err != nil || a.version != version || a.digest != digest {
				t.Fatalf("%q of %q: %+v, %v", made, version, a, err)
			}
		}
	})
}
