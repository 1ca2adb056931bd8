// Gets temporary credentials by minio-go's providers of the STS API, then writes an object and reads it back with them.
// Arguments: kind, URL, file of authorities (empty for none), bucket, then of each kind its own. Says "good" in the end,
// or exits with 1 and says what was wrong.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func transport(authorities string) *http.Transport {
	made, err := minio.DefaultTransport(true)
	must(err, "transport")
	made.Proxy = nil
	if authorities != "" {
		pem, err := os.ReadFile(authorities)
		must(err, "authorities")
		made.TLSClientConfig.RootCAs = x509.NewCertPool()
		made.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem)
	}
	return made
}

func provider(kind, endpoint string, over *http.Transport, more []string) (*credentials.Credentials, error) {
	switch kind {
	case "assume":
		return credentials.NewSTSAssumeRole(endpoint, credentials.STSAssumeRoleOptions{
			AccessKey: more[0], SecretKey: more[1], DurationSeconds: 7200,
		})
	case "web":
		token := func() (*credentials.WebIdentityToken, error) {
			return &credentials.WebIdentityToken{Token: more[0], Expiry: 1800}, nil
		}
		return credentials.NewSTSWebIdentity(endpoint, token, func(i *credentials.STSWebIdentity) { i.RoleARN = more[1] })
	case "grants":
		token := func() (*credentials.ClientGrantsToken, error) {
			return &credentials.ClientGrantsToken{Token: more[0], Expiry: 1800}, nil
		}
		return credentials.NewSTSClientGrants(endpoint, token)
	case "certificate":
		pair, err := tls.LoadX509KeyPair(more[0], more[1])
		must(err, "certificate")
		return credentials.NewSTSCertificateIdentity(endpoint, pair, credentials.CertificateIdentityWithTransport(over))
	case "custom":
		return credentials.NewCustomTokenCredentials(endpoint, more[0], more[1], credentials.CustomTokenValidityOpt(1800*time.Second))
	}
	return nil, fmt.Errorf("no such kind: %s", kind)
}

func main() {
	kind, endpoint, authorities, bucket, more := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:]
	over := transport(authorities)
	found, err := provider(kind, endpoint, over, more)
	must(err, "provider")
	_, err = found.GetWithContext(&credentials.CredContext{Client: &http.Client{Transport: over}})
	must(err, "credentials")
	where, err := url.Parse(endpoint)
	must(err, "endpoint")
	client, err := minio.New(where.Host, &minio.Options{Creds: found, Secure: where.Scheme == "https", Transport: transport(authorities)})
	must(err, "client")
	ctx, data := context.Background(), []byte("text")
	_, err = client.PutObject(ctx, bucket, kind, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{})
	must(err, "put")
	object, err := client.GetObject(ctx, bucket, kind, minio.GetObjectOptions{})
	must(err, "get")
	got, err := io.ReadAll(object)
	must(err, "read")
	if !bytes.Equal(got, data) {
		must(fmt.Errorf("not as expected"), "content")
	}
	fmt.Println("good")
}
