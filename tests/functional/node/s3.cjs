// Puts and gets with the AWS SDK for JavaScript, v3, as it is without any settings about checksums, and with each of
// them. Exits with 1 and says what was wrong. Arguments: URL, access key, secret key.
"use strict";
const assert = require("node:assert/strict");
const { randomBytes } = require("node:crypto");
const { Readable } = require("node:stream");
const s3 = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { createPresignedPost } = require("@aws-sdk/s3-presigned-post");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const [endpoint, accessKeyId, secretAccessKey] = process.argv.slice(2);
const client = new s3.S3Client({
  endpoint,
  region: "us-east-1",
  forcePathStyle: true,
  maxAttempts: 1,
  credentials: { accessKeyId, secretAccessKey },
});
const Bucket = "javascript";
const MIB = 1 << 20;

async function read(Key, more = {}) {
  const got = await client.send(new s3.GetObjectCommand({ Bucket, Key, ...more }));
  return { ...got, data: Buffer.from(await got.Body.transformToByteArray()) };
}

// The default of the SDK: CRC32, in a header for buffers and in a trailer for streams; verified when read.
async function defaults() {
  for (const size of [0, 1, 1000, 70000, 6 * MIB]) {
    const data = randomBytes(size);
    for (const [kind, Body] of [["buffer", data], ["stream", Readable.from(chunks(data))]]) {
      const Key = `default/${kind}/${size}`;
      const put = await client.send(new s3.PutObjectCommand({ Bucket, Key, Body, ContentLength: size }));
      assert.ok(put.ChecksumCRC32, `${Key} has no checksum`);
      const got = await read(Key);
      assert.ok(got.data.equals(data), `content of ${Key}`);
      assert.equal(got.ContentEncoding, undefined);
    }
  }
}

function* chunks(data) {
  for (let at = 0; at < data.length; at += 9999) yield data.subarray(at, at + 9999);
}

async function algorithms() {
  const data = randomBytes(20000);
  for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
    if (ChecksumAlgorithm === "CRC64NVME") continue; // needs a native package
    const Key = `sum/${ChecksumAlgorithm}`;
    await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: data, ChecksumAlgorithm }));
    const got = await read(Key, { ChecksumMode: "ENABLED" });
    assert.ok(got.data.equals(data) && got[`Checksum${ChecksumAlgorithm}`]);
  }
}

async function uploads() {
  const data = randomBytes(12 * MIB + 7);
  for (const Body of [data, Readable.from(chunks(data))]) {
    await new Upload({ client, params: { Bucket, Key: "upload", Body }, partSize: 5 * MIB, queueSize: 3 }).done();
    const got = await read("upload");
    assert.ok(got.data.equals(data));
    assert.match(got.ETag, /-3"$/);
  }
  const part = await read("upload", { Range: "bytes=5242879-5242881" });
  assert.ok(part.data.equals(data.subarray(5242879, 5242882)));
}

async function listings() {
  for (let i = 0; i < 12; i++) {
    await client.send(new s3.PutObjectCommand({ Bucket, Key: `list/ä ${i}+%`, Body: "x" }));
  }
  const keys = [];
  for await (const page of s3.paginateListObjectsV2({ client, pageSize: 5 }, { Bucket, Prefix: "list/" })) {
    keys.push(...page.Contents.map((entry) => entry.Key));
  }
  assert.equal(keys.length, 12);
  const Delete = { Objects: keys.map((Key) => ({ Key })) };
  const done = await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete }));
  assert.equal(done.Deleted.length, 12);
}

async function refusals() {
  await assert.rejects(read("none"), { name: "NoSuchKey" });
  await assert.rejects(client.send(new s3.HeadObjectCommand({ Bucket, Key: "none" })), { name: "NotFound" });
  const exists = new s3.PutObjectCommand({ Bucket, Key: "upload", Body: "x", IfNoneMatch: "*" });
  await assert.rejects(client.send(exists), { name: "PreconditionFailed" });
}

async function presigned() {
  const put = await getSignedUrl(client, new s3.PutObjectCommand({ Bucket, Key: "by url" }), { expiresIn: 60 });
  assert.equal((await fetch(put, { method: "PUT", body: "from fetch" })).status, 200);
  const get = await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key: "by url" }), { expiresIn: 60 });
  assert.equal(await (await fetch(get)).text(), "from fetch");
  const post = await createPresignedPost(client, { Bucket, Key: "by form", Conditions: [["content-length-range", 1, 50]] });
  const form = new FormData();
  for (const [name, value] of Object.entries(post.fields)) form.append(name, value);
  form.append("file", new Blob(["from a form"]), "f.txt");
  assert.equal((await fetch(post.url, { method: "POST", body: form })).status, 204);
  assert.equal((await read("by form")).data.toString(), "from a form");
}

async function main() {
  await client.send(new s3.CreateBucketCommand({ Bucket }));
  for (const step of [defaults, algorithms, uploads, listings, refusals, presigned]) await step();
  console.log("good");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
