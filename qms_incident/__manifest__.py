{
    "name": "QMS Incidents",
    "summary": "Incidents from detection to closure: impact, timeline, closure gate",
    "version": "19.0.1.0.0",
    "category": "Productivity",
    "author": "QMS SOP contributors",
    "website": "https://github.com/qms-sop/qms-sop",
    "license": "LGPL-3",
    "depends": ["qms_sop"],
    "data": [
        "security/ir.model.access.csv",
        "security/qms_incident_security.xml",
    ],
    "uninstall_hook": "uninstall_hook",
}
