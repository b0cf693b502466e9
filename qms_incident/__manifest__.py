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
        "security/qms_postmortem_security.xml",
        "data/qms_notification_templates.xml",
        "wizard/qms_incident_wizard_views.xml",
        "views/qms_incident_views.xml",
        "views/qms_sop_run_views.xml",
        "views/res_config_settings_views.xml",
    ],
    "demo": [
        "demo/qms_incident_demo.xml",
        "demo/qms_incident_history_demo.xml",
    ],
    "assets": {
        "web.assets_backend": ["qms_incident/static/src/scss/**/*"],
        "web.assets_tests": ["qms_incident/static/tests/tours/**/*"],
    },
    "uninstall_hook": "uninstall_hook",
}
