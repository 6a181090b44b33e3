#!/usr/bin/env python3
"""What is installed beside the program: manual page, completion, unit, dashboard, container file.

usage: packaging_test.py PREFIX REPOSITORY     PREFIX has been filled by `cmake --install`
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

PREFIX, ROOT = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
BINARY = PREFIX / "bin/millrace"


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout


def complete(words):
    """What bash offers behind these words, the last of which is being typed."""
    script = PREFIX / "share/bash-completion/completions/millrace"
    line = " ".join(f"'{w}'" for w in words)
    return run("bash", "-c", f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _millrace; "
                             'printf "%s\\n" "${COMPREPLY[@]}"').split()


class Packaging(unittest.TestCase):
    def test_bash_completion(self):
        commands = complete(["millrace", ""])
        for command in ("run", "serve", "bench", "completion", "man"):
            self.assertIn(command, commands)
        self.assertEqual(complete(["millrace", "comp"]), ["completion"])
        self.assertIn("serve", complete(["millrace", "bench", "s"]))
        self.assertEqual(complete(["millrace", "run", "--load-f"]), ["--load-format"])
        self.assertEqual(sorted(complete(["millrace", "run", "m", "--load-format", ""])), ["auto", "dummy"])
        self.assertIn("--ramp", complete(["millrace", "bench", "serve", "--r"]))
        self.assertNotIn("--ramp", complete(["millrace", "serve", "--r"]))
        self.assertEqual(sorted(complete(["millrace", "serve", "x", "--log-format", ""])), ["json", "text"])

    def test_other_shells(self):
        fish = (PREFIX / "share/fish/vendor_completions.d/millrace.fish").read_text()
        self.assertIn("-l load-format -x -a 'auto dummy'", fish)
        self.assertIn("#compdef millrace", (PREFIX / "share/zsh/site-functions/_millrace").read_text())
        for shell, script in (("zsh", "share/zsh/site-functions/_millrace"),
                              ("fish", "share/fish/vendor_completions.d/millrace.fish")):
            if shutil.which(shell):
                run(shell, "-n", str(PREFIX / script))

    def test_manual(self):
        page = PREFIX / "share/man/man1/millrace.1"
        text = page.read_text()
        self.assertTrue(text.splitlines()[1].startswith(".TH MILLRACE 1"))
        for line in text.splitlines():
            self.assertFalse(line.startswith("."[:1]) and not re.match(r"\.(\\\"|TH|SH|B|I|PP|TP|nf|fi)\b|\.\\", line), line)
        # Every option that --help shows is in the page.
        for command in ((), ("serve",), ("bench",), ("bench", "serve"), ("run",)):
            for option in re.findall(r"(--[a-z][a-z-]+)", run(BINARY, *command, "--help")):
                self.assertIn(option.replace("-", r"\-"), text, (command, option))
        if shutil.which("man"):
            shown = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
            self.assertEqual((shown.returncode, shown.stderr), (0, ""))

    def test_unit(self):
        unit = (PREFIX / "lib/systemd/system/millrace.service").read_text()
        program = re.search(r"^ExecStart=(\S+) serve", unit, re.MULTILINE).group(1)
        self.assertTrue(program.endswith("/bin/millrace"))
        self.assertNotIn("@", unit)
        self.assertGreater(int(re.search(r"TimeoutStopSec=(\d+)", unit).group(1)), 30, "longer than the drain")

    def test_dashboard_asks_for_metrics_that_there_are(self):
        dashboard = json.loads((PREFIX / "share/millrace/grafana.json").read_text())
        self.assertEqual((PREFIX / "share/millrace/grafana.json").read_text(),
                         run(sys.executable, ROOT / "packaging/make_grafana.py"), "run packaging/make_grafana.py again")
        asked = set()
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                asked |= set(re.findall(r"\b((?:vllm:|millrace_|process_)[a-z0-9_]+)", target["expr"]))
        self.assertGreater(len(asked), 20)
        source = (ROOT / "src/server/metrics.cc").read_text()
        for metric in asked:
            family = re.sub("_(bucket|sum|count)$", "", metric)
            self.assertTrue(f'"{family}"' in source, family)

    def test_container_has_the_libraries(self):
        """On the distribution that the image is made of: every package a library comes from is installed in it."""
        release = pathlib.Path("/etc/os-release").read_text()
        if "bookworm" not in release or not shutil.which("dpkg"):
            self.skipTest("not Debian 12")
        container = (ROOT / "packaging/Containerfile").read_text()
        image = container[container.index("debian:12-slim"):]
        named = set(re.findall(r"[a-z0-9.+-]+", image))
        # Libraries of libraries come with them: only those that the program itself asks for are named.
        needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", BINARY))
        for library in needed:
            path = next((p for p in re.findall(r"=> (/\S+)", run("ldd", BINARY)) if p.endswith("/" + library)), None)
            if not path:
                continue
            for candidate in (path, "/usr" + path, path.removeprefix("/usr")):
                owner = subprocess.run(["dpkg", "-S", candidate], capture_output=True, text=True).stdout.split(":")[0]
                if owner:
                    break
            if owner and owner not in {"libc6", "libgcc-s1", "libstdc++6"}:
                self.assertIn(owner, named, library)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
