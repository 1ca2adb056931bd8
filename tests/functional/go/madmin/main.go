// Calls of the admin API that mc has no command for, with madmin-go. Exits with 1 and says what was wrong.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/minio/madmin-go/v3"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	bucket = "madmin"
	noKMS  = "Server side encryption specified but KMS is not configured"
	policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::*"]}]}`
)

var ctx = context.Background()

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func check(good bool, what string, found ...any) {
	if !good {
		must(fmt.Errorf("not as expected: %+v", found), what)
	}
}

// refused checks the code of an error, and how its text begins.
func refused(err error, code, text, what string) {
	found := madmin.ToErrorResponse(err)
	check(err != nil && found.Code == code && strings.HasPrefix(found.Message, text), what, found.Code, found.Message)
}

func connect(endpoint, key, secret string) *madmin.AdminClient {
	options := &madmin.Options{Creds: credentials.NewStaticV4(key, secret, "")}
	client, err := madmin.NewWithOptions(endpoint, options)
	must(err, "client")
	return client
}

// server tells of the machine: shapes that dashboards read.
func server(root *madmin.AdminClient) {
	storage, err := root.StorageInfo(ctx)
	must(err, "storage info")
	check(len(storage.Disks) == 4 && storage.Backend.Type == madmin.Erasure, "storage info", storage.Backend)
	for _, disk := range storage.Disks {
		check(disk.State == madmin.DriveStateOk && disk.TotalSpace > disk.AvailableSpace, "drive", disk)
	}
	usage, err := root.DataUsageInfo(ctx)
	must(err, "data usage info")
	held, known := usage.BucketsUsage[bucket]
	check(known && held.ObjectsCount == 1 && held.Size == 4, "usage of a bucket", held)
	check(usage.BucketsCount == uint64(len(usage.BucketsUsage)), "buckets in use", usage.BucketsCount)
	check(time.Since(usage.LastUpdate) < time.Hour, "moment of usage", usage.LastUpdate)
	info, err := root.ServerInfo(ctx)
	must(err, "server info")
	check(info.Mode == "online" && len(info.Servers) == 1 && len(info.Servers[0].Disks) == 4, "server info", info.Mode)
	locks, err := root.TopLocks(ctx)
	must(err, "top locks")
	check(len(locks) == 0, "top locks", locks)
	pools, err := root.ListPoolsStatus(ctx)
	must(err, "pools")
	one, err := root.StatusPool(ctx, pools[0].CmdLine)
	must(err, "pool")
	// the space that is free may change between the two
	check(one.ID == pools[0].ID && one.CmdLine == pools[0].CmdLine && one.Decommission.TotalSize == pools[0].Decommission.TotalSize, "pool", one)
}

// account tells callers of themselves.
func account(root, hers *madmin.AdminClient) {
	info, err := root.AccountInfo(ctx, madmin.AccountOpts{PrefixUsage: true})
	must(err, "account info")
	var found *madmin.BucketAccessInfo
	for i := range info.Buckets {
		if info.Buckets[i].Name == bucket {
			found = &info.Buckets[i]
		}
	}
	check(found != nil && found.Access.Read && found.Access.Write && found.Size == 4, "bucket of root", found)
	check(info.Server.StandardSCParity == 2 && len(info.Policy) > 0, "account info", info.Server)
	info, err = hers.AccountInfo(ctx, madmin.AccountOpts{})
	must(err, "account info of a user")
	check(info.AccountName == "madmin-user" && strings.Contains(string(info.Policy), "s3:GetObject"), "her account", info)
	for _, one := range info.Buckets {
		check(one.Access.Read && !one.Access.Write, "her bucket", one)
	}
}

// identities uses the older calls, which scripts and providers for Terraform still make.
func identities(root, hers *madmin.AdminClient) {
	must(root.AddCannedPolicy(ctx, "madmin-policy", []byte(policy)), "add policy")
	text, err := root.InfoCannedPolicy(ctx, "madmin-policy")
	must(err, "policy as a document")
	check(string(text) == policy, "policy as a document", string(text))
	whole, err := root.InfoCannedPolicyV2(ctx, "madmin-policy")
	must(err, "policy")
	check(whole.PolicyName == "madmin-policy" && string(whole.Policy) == policy, "policy", whole)
	must(root.SetPolicy(ctx, "madmin-policy,readonly", "madmin-user", false), "set policy")
	user, err := root.GetUserInfo(ctx, "madmin-user")
	must(err, "user")
	check(user.PolicyName == "madmin-policy,readonly" && user.Status == madmin.AccountEnabled, "user", user)
	check(user.AuthInfo == nil && user.SecretKey == "", "user", user)
	must(root.SetUser(ctx, "madmin-user", "her-second-secret", madmin.AccountDisabled), "set user")
	_, err = hers.AccountInfo(ctx, madmin.AccountOpts{})
	refused(err, "InvalidAccessKeyId", "Your account is disabled", "a user that is switched off")
	must(root.SetUser(ctx, "madmin-user", "her-first-secret", madmin.AccountEnabled), "set user")
	refused(root.SetPolicy(ctx, "absent", "madmin-user", false), "XMinioAdminNoSuchPolicy",
		"The canned policy does not exist. (Specified canned policy does not exist)", "no such policy")
	refused(root.SetPolicy(ctx, "readonly", "absent", true), "XMinioAdminNoSuchGroup", "The specified group", "no such group")
	_, err = root.GetUserInfo(ctx, "absent")
	check(err.Error() == "The specified user does not exist. (Specified user does not exist)", "text of an error", err)
	must(root.RemoveCannedPolicy(ctx, "no-such-policy"), "remove a policy that is not there")
	must(root.SetPolicy(ctx, "readonly", "madmin-user", false), "set policy")
}

func keys(root, hers *madmin.AdminClient) {
	expires := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Second)
	made, err := hers.AddServiceAccount(ctx, madmin.AddServiceAccountReq{
		Policy: []byte(policy), Name: "mine", Description: "of hers", Expiration: &expires,
	})
	must(err, "add service account")
	info, err := hers.InfoServiceAccount(ctx, made.AccessKey)
	must(err, "service account")
	check(info.ParentUser == "madmin-user" && info.Name == "mine" && !info.ImpliedPolicy, "service account", info)
	check(info.Expiration != nil && info.Expiration.Equal(expires), "expiration", info.Expiration)
	any, err := root.InfoAccessKey(ctx, made.AccessKey)
	must(err, "access key")
	check(any.UserType == "Service Account" && any.UserProvider == "builtin" && any.AccessKey == made.AccessKey, "key", any)
	listed, err := root.ListServiceAccounts(ctx, "madmin-user")
	must(err, "list")
	check(len(listed.Accounts) == 1 && listed.Accounts[0].AccessKey == made.AccessKey, "list", listed)
	second, err := root.AddServiceAccount(ctx, madmin.AddServiceAccountReq{TargetUser: "madmin-user"})
	must(err, "add for another")
	info, err = root.InfoServiceAccount(ctx, second.AccessKey)
	must(err, "service account without end")
	check(info.Expiration == nil && info.ImpliedPolicy, "service account without end", info)
	// users not in the order of the alphabet
	options := madmin.ListAccessKeysOpts{ListType: madmin.AccessKeyListAll}
	bulk, err := root.ListAccessKeysBulk(ctx, []string{"madmin-user", "madmin-other"}, options)
	must(err, "list of several")
	check(len(bulk) == 2 && len(bulk["madmin-user"].ServiceAccounts) == 2, "list of several", bulk)
	off := madmin.UpdateServiceAccountReq{NewStatus: "off", NewDescription: "off"}
	must(root.UpdateServiceAccount(ctx, second.AccessKey, off), "update")
	must(root.DeleteServiceAccount(ctx, second.AccessKey), "delete")
	_, err = root.InfoServiceAccount(ctx, second.AccessKey)
	text := "The specified service account is not found (Specified service account does not exist)"
	check(err.Error() == text, "text of an error", err)
	err = root.DeleteServiceAccount(ctx, second.AccessKey)
	check(err.Error() == "The specified service account is not found", "text of an error", err)
	_, err = root.TemporaryAccountInfo(ctx, "absent")
	refused(err, "XMinioAdminNoSuchAccessKey", "", "no such temporary account")
}

// absent asks for what nothing configures.
func absent(root *madmin.AdminClient) {
	_, err := root.KMSStatus(ctx)
	refused(err, "NotImplemented", noKMS, "kms status")
	_, err = root.KMSMetrics(ctx)
	refused(err, "NotImplemented", noKMS, "kms metrics")
	_, err = root.KMSAPIs(ctx)
	refused(err, "NotImplemented", noKMS, "kms apis")
	_, err = root.KMSVersion(ctx)
	refused(err, "NotImplemented", noKMS, "kms version")
	_, err = root.ListKeys(ctx, "*")
	refused(err, "NotImplemented", noKMS, "kms keys")
	targets, err := root.ListRemoteTargets(ctx, bucket, "")
	must(err, "remote targets")
	check(len(targets) == 0, "remote targets", targets)
	_, err = root.ListRemoteTargets(ctx, "no-such-bucket", "replication")
	refused(err, "NoSuchBucket", "The specified bucket does not exist", "remote targets of no bucket")
	check(madmin.ToErrorResponse(err).BucketName == "no-such-bucket", "bucket in an error", err)
	refused(root.RemoveRemoteTarget(ctx, bucket, "arn"), "XMinioAdminRemoteTargetNotFoundError", "", "no such target")
	tiers, err := root.ListTiers(ctx)
	must(err, "tiers")
	check(len(tiers) == 0, "tiers", tiers)
	jobs, err := root.ListBatchJobs(ctx, &madmin.ListBatchJobsFilter{})
	must(err, "jobs")
	check(len(jobs.Jobs) == 0, "jobs", jobs)
	_, err = root.BatchJobStatus(ctx, "replicate-absent")
	refused(err, "XMinioAdminNoSuchJob", "", "no such job")
	_, err = root.RebalanceStatus(ctx)
	refused(err, "XMinioAdminRebalanceNotStarted", "", "rebalance")
	sites, err := root.SRMetaInfo(ctx, madmin.SRStatusOptions{Buckets: true})
	must(err, "sites")
	check(!sites.Enabled && len(sites.Buckets) == 0, "sites", sites)
	for entry := range root.BucketReplicationMRF(ctx, bucket, "") {
		check(false, "failed replication", entry)
	}
	for entry := range root.BucketReplicationDiff(ctx, bucket, madmin.ReplDiffOpts{}) {
		refused(entry.Err, "XMinioAdminRemoteTargetNotFoundError", "", "replication lag")
	}
	refused(root.ForceUnlock(ctx, "a"), "NotImplemented", "", "force unlock")
}

func main() {
	endpoint := os.Args[1]
	root := connect(endpoint, os.Args[2], os.Args[3])
	must(root.AddUser(ctx, "madmin-user", "her-first-secret"), "add user")
	must(root.AddUser(ctx, "madmin-other", "another-secret"), "add user")
	must(root.SetPolicy(ctx, "readonly", "madmin-user", false), "set policy")
	hers := connect(endpoint, "madmin-user", "her-first-secret")
	server(root)
	account(root, hers)
	identities(root, hers)
	keys(root, hers)
	absent(root)
	_, err := connect(endpoint, os.Args[2], "not-the-secret").ServerInfo(ctx)
	refused(err, "SignatureDoesNotMatch", "The request signature we calculated", "a wrong secret")
	_, err = hers.ServerInfo(ctx)
	refused(err, "AccessDenied", "Access Denied.", "no right")
	fmt.Println("ok")
}
