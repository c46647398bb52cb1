import { expect, test } from "vitest";
import { RECOGNIZED_BYTES, recognize } from "../src/index";

const latin1 = (text: string) => Buffer.from(text, "latin1");
const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 1343235\n";
const tar = Buffer.alloc(512, 0);
tar.write("weights/model.pt");
tar.write("ustar", 257);

test.each<[string, Uint8Array, string, RegExp, RegExp]>([
  ["nothing", Buffer.alloc(0), "empty", /^an empty file$/, /again/],
  ["a pointer of Git LFS", latin1(lfs), "lfs", /Git LFS pointer, which stands for a file of 1343235 bytes/, /git lfs pull/],
  ["one with Windows line ends", latin1(lfs.replaceAll("\n", "\r\n")), "lfs", /1343235/, /git lfs pull/],
  ["one that was cut", latin1(lfs.slice(0, 40)), "lfs", /a Git LFS pointer/, /git lfs pull/],
  ["a web page", latin1("\n<!DOCTYPE html>\n<html>"), "html", /^a web page$/, /the file itself/],
  ["a page with a byte order mark", Buffer.from("\ufeff<HTML lang=en>"), "html", /^a web page$/, /the file itself/],
  ["a page that begins with a comment", latin1("<!-- x -->\n<html>"), "html", /^a web page$/, /the file itself/],
  ["a hub's error", latin1('{"error":"Repository not found"}'), "json", /a server: "Repository not found"/, /log in/],
  ["a storage's error", latin1("<?xml version='1.0'?><Error><Message>Access Denied</Message>"), "xml", /"Access Denied"/, /log in/],
  ["other JSON", latin1('{"a": 1}'), "json", /^a JSON text$/, /right file/],
  ["a text", latin1("Entry not found"), "text", /begins "Entry not found"/, /again/],
  ["gzip", latin1("\x1f\x8b\x08"), "gzip", /gzip/, /gunzip/],
  ["tar", tar, "tar", /tar archive/, /tar -xf/],
  ["zip", latin1("PK\x03\x04\x14"), "zip", /zip file/, /unpack/],
  ["7z", latin1("7z\xbc\xaf\x27\x1c"), "archive", /7-Zip/, /unpack/],
  ["GGUF", latin1("GGUF\x03\0\0\0"), "gguf", /llama\.cpp/, /safetensors/],
  ["HDF5", latin1("\x89HDF\r\n\x1a\n"), "hdf5", /HDF5/, /safetensors/],
  ["PNG", latin1("\x89PNG\r\n\x1a\n"), "image", /PNG/, /right file/],
  ["WebP", latin1("RIFF\x10\0\0\0WEBPVP8 "), "image", /WebP/, /right file/],
  ["BMP", latin1("BM\x36\x0c\0\0\0\0\0\0\x36\0\0\0"), "image", /BMP/, /right file/],
  ["PPM", latin1("P6\n32 32\n255\n"), "image", /PPM/, /right file/],
  ["AVIF", latin1("\0\0\0\x20ftypavif\0\0\0\0"), "image", /AVIF/, /right file/],
  ["HEIC", latin1("\0\0\0\x20ftypheic\0\0\0\0"), "image", /HEIF/, /right file/],
  ["a text that begins with BM", latin1("BM is short for bench mark"), "text", /begins "BM is/, /right file/],
  ["npy", latin1("\x93NUMPY\x01\0"), "npy", /\.npy/, /savez/],
  ["pickle", latin1("\x80\x02}q\0."), "pickle", /pickle/, /right file/],
  ["safetensors", latin1("\x40\0\0\0\0\0\0\0{\"a\""), "safetensors", /safetensors/, /right file/],
  ["a sparse download", Buffer.alloc(4096), "zeros", /zeros/, /again/],
  ["a resource fork", latin1("\0\x05\x16\x07\0\x02\0\0Mac OS X"), "apple-double", /macOS/, /without \._/],
])("recognises %s", (_, bytes, kind, what, remedy) => {
  const found = recognize(bytes);
  expect(found?.kind).toBe(kind);
  expect(found?.what).toMatch(what);
  expect(found?.remedy).toMatch(remedy);
}); // biome-ignore format: a table

test("random bytes are nothing known, and only the beginning is looked at", () => {
  expect(recognize(Buffer.from([0x08, 0x0a, 0x12, 0xff, 0x00, 0x13]))).toBeUndefined();
  const long = Buffer.alloc(RECOGNIZED_BYTES + 10, "é"); // two bytes each: the limit may cut a character
  long[RECOGNIZED_BYTES + 5] = 0xff;
  expect(recognize(long)?.kind).toBe("text");
  expect(recognize(Buffer.concat([latin1("x"), Buffer.alloc(RECOGNIZED_BYTES, "é")]))?.kind).toBe("text");
});
