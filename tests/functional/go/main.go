// Puts and gets with minio-go, in every way that it frames and checks a payload. Exits with 1 and says what was wrong.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	bucket = "minio-go"
	mib    = 1 << 20
)

var ctx = context.Background()

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func check(good bool, what string) {
	if !good {
		must(fmt.Errorf("not as expected"), what)
	}
}

func random(size int) []byte {
	data := make([]byte, size)
	_, err := rand.Read(data)
	must(err, "random")
	return data
}

// pipe hides that the length and the start of a payload are known.
type pipe struct{ io.Reader }

func read(client *minio.Client, key string, options minio.GetObjectOptions) []byte {
	object, err := client.GetObject(ctx, bucket, key, options)
	must(err, "get "+key)
	defer object.Close()
	data, err := io.ReadAll(object)
	must(err, "read "+key)
	return data
}

func put(client *minio.Client, key string, data []byte, size int64, options minio.PutObjectOptions) {
	_, err := client.PutObject(ctx, bucket, key, pipe{bytes.NewReader(data)}, size, options)
	must(err, "put "+key)
	check(bytes.Equal(read(client, key, minio.GetObjectOptions{Checksum: true}), data), "content of "+key)
}

// payloads sends known and unknown lengths, with signed chunks, trailers of each algorithm, and Content-MD5.
func payloads(client *minio.Client, name string, trailing bool) {
	sums := []minio.ChecksumType{
		minio.ChecksumCRC32, minio.ChecksumCRC32C, minio.ChecksumCRC64NVME, minio.ChecksumSHA1, minio.ChecksumSHA256,
	}
	for _, size := range []int{0, 1, 64 * 1024, 64*1024 + 1, 300_000, 17*mib + 5} {
		data := random(size)
		put(client, fmt.Sprintf("%s/known/%d", name, size), data, int64(size), minio.PutObjectOptions{})
		put(client, fmt.Sprintf("%s/md5/%d", name, size), data, int64(size), minio.PutObjectOptions{SendContentMd5: true})
		put(client, fmt.Sprintf("%s/whole/%d", name, size), data, int64(size), minio.PutObjectOptions{DisableMultipart: true})
	}
	if !trailing {
		sums = nil
	}
	for _, sum := range sums {
		for _, size := range []int{1000, 6 * mib} {
			options := minio.PutObjectOptions{Checksum: sum, PartSize: 5 * mib}
			put(client, fmt.Sprintf("%s/%s/%d", name, sum.String(), size), random(size), int64(size), options)
		}
	}
	options := minio.PutObjectOptions{PartSize: 5 * mib, NumThreads: 3, ConcurrentStreamParts: true}
	put(client, name+"/unknown/small", random(100), -1, options)
	put(client, name+"/unknown/large", random(12*mib+1), -1, options)
}

func attributes(client *minio.Client) {
	options := minio.PutObjectOptions{
		ContentType: "text/x", CacheControl: "no-store", UserMetadata: map[string]string{"Colour": "blue"},
		UserTags: map[string]string{"a": "1"}, StorageClass: "REDUCED_REDUNDANCY",
	}
	_, err := client.PutObject(ctx, bucket, "attributes", strings.NewReader("data"), 4, options)
	must(err, "put attributes")
	info, err := client.StatObject(ctx, bucket, "attributes", minio.StatObjectOptions{Checksum: true})
	must(err, "stat")
	check(info.Size == 4 && info.ContentType == "text/x" && info.UserMetadata["Colour"] == "blue", "stat")
	check(info.UserTagCount == 1 && info.Metadata.Get("X-Amz-Storage-Class") == "REDUCED_REDUNDANCY", "stat of tags and class")
	options.SetMatchETagExcept("*")
	_, err = client.PutObject(ctx, bucket, "attributes", strings.NewReader("other"), 5, options)
	check(minio.ToErrorResponse(err).Code == "PreconditionFailed", "conditional put")
	ranged := minio.GetObjectOptions{}
	must(ranged.SetRange(1, 2), "range")
	check(string(read(client, "attributes", ranged)) == "at", "range")
	_, err = client.StatObject(ctx, bucket, "none", minio.StatObjectOptions{})
	check(minio.ToErrorResponse(err).Code == "NoSuchKey", "code of a HEAD")
}

func copies(client *minio.Client) {
	data := random(11 * mib)
	put(client, "source", data, int64(len(data)), minio.PutObjectOptions{})
	source := minio.CopySrcOptions{Bucket: bucket, Object: "source"}
	_, err := client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "copy"}, source)
	must(err, "copy")
	check(bytes.Equal(read(client, "copy", minio.GetObjectOptions{}), data), "content of copy")
	target := minio.CopyDestOptions{Bucket: bucket, Object: "composed"}
	_, err = client.ComposeObject(ctx, target, source, source)
	must(err, "compose")
	check(bytes.Equal(read(client, "composed", minio.GetObjectOptions{}), append(data, data...)), "content of composed")
}

func listings(client *minio.Client) {
	for i := 0; i < 25; i++ {
		name := fmt.Sprintf("list/%02d/x y+%%", i)
		_, err := client.PutObject(ctx, bucket, name, strings.NewReader("x"), 1, minio.PutObjectOptions{})
		must(err, "put "+name)
	}
	for _, options := range []minio.ListObjectsOptions{
		{Prefix: "list/", Recursive: true, MaxKeys: 7},
		{Prefix: "list/", Recursive: true, MaxKeys: 7, UseV1: true},
		{Prefix: "list/", Recursive: true, WithMetadata: true},
		{Prefix: "list/", Recursive: true, WithVersions: true, MaxKeys: 7},
	} {
		count := 0
		for object := range client.ListObjects(ctx, bucket, options) {
			must(object.Err, "list")
			check(object.Key == fmt.Sprintf("list/%02d/x y+%%", count), "key "+object.Key)
			count++
		}
		check(count == 25, fmt.Sprint("count of listing ", count))
	}
	objects := client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: "list/", Recursive: true})
	for failed := range client.RemoveObjects(ctx, bucket, objects, minio.RemoveObjectsOptions{}) {
		must(failed.Err, "remove")
	}
	_, err := minio.Core{Client: client}.ListMultipartUploads(ctx, bucket, "", "", "", "", 10)
	must(err, "list of uploads")
}

// ldap uses the provider for users of a directory: endpoint, name, password.
func ldap(endpoint, name, password string) {
	keys, err := credentials.NewLDAPIdentity("http://"+endpoint, name, password)
	must(err, "provider")
	client, err := minio.New(endpoint, &minio.Options{Creds: keys, MaxRetries: 1})
	must(err, "client")
	must(client.MakeBucket(ctx, "of-"+name, minio.MakeBucketOptions{}), "make bucket")
	data := random(mib)
	_, err = client.PutObject(ctx, "of-"+name, "key", bytes.NewReader(data), mib, minio.PutObjectOptions{})
	must(err, "put")
	fmt.Println("good")
}

func main() {
	if os.Args[1] == "ldap" {
		ldap(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	for _, trailing := range []bool{true, false} {
		for name, signer := range map[string]credentials.SignatureType{"v4": credentials.SignatureV4, "v2": credentials.SignatureV2} {
			keys := credentials.NewStatic(os.Args[2], os.Args[3], "", signer)
			options := &minio.Options{Creds: keys, TrailingHeaders: trailing, MaxRetries: 1}
			client, err := minio.New(os.Args[1], options)
			must(err, "client")
			if there, _ := client.BucketExists(ctx, bucket); !there {
				must(client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}), "make bucket")
			}
			payloads(client, fmt.Sprintf("%s-%v", name, trailing), trailing)
			attributes(client)
			copies(client)
			listings(client)
			must(client.RemoveBucketWithOptions(ctx, bucket, minio.RemoveBucketOptions{ForceDelete: true}), "forced removal")
		}
	}
	fmt.Println("good")
}
