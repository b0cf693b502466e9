{
    "name": "QMS Benchmark Yardsticks",
    "summary": "The plain operations that the benchmarks compare ours with",
    "version": "19.0.1.0.0",
    "category": "Hidden",
    "author": "QMS SOP contributors",
    "website": "https://github.com/qms-sop/qms-sop",
    "license": "LGPL-3",
    "depends": ["qms_sop", "rpc"],
    "data": ["security/ir.model.access.csv"],
}
